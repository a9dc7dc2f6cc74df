// Package packaging tests the Dockerfile and docker-compose.yml at the top of the
// repository. The tests need no container engine: they run the image's build line as it
// is written, and read the compose file with Docker's own library. They have the build
// tag packaging, because they compile the program once more.
package packaging
