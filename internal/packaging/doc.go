// Package packaging holds the tests of what Fundrail is shipped in: the
// Dockerfile and docker-compose.yml at the top of the repository. They need no
// container engine: the image's build line is run as it stands, and the
// compose file is read by the library that Docker reads it with. The tests are
// behind the build tag packaging, because they compile the program once more.
package packaging
