package devpg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
)

// postgresJar returns an archive like the published ones. Its programs only print a
// version.
func postgresJar(t *testing.T) []byte {
	t.Helper()
	var archive bytes.Buffer
	tw := tar.NewWriter(&archive)
	script := "#!/bin/sh\n[ \"$1\" = --version ] && echo 'postgres (PostgreSQL) 17.0'\n"
	for _, name := range []string{"bin/initdb", "bin/pg_ctl", "bin/postgres"} {
		require.NoError(t, tw.WriteHeader(&tar.Header{Mode: 0o755, Name: name, Size: int64(len(script))}))
		_, err := tw.Write([]byte(script))
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())

	var jar bytes.Buffer
	zw := zip.NewWriter(&jar)
	w, err := zw.Create("postgres.txz")
	require.NoError(t, err)
	_, err = w.Write(storedXZ(archive.Bytes()))
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	return jar.Bytes()
}

// storedXZ encodes up to 64 KiB in the xz format without compression, so that the
// tests need no compressor.
func storedXZ(content []byte) []byte {
	var out bytes.Buffer
	sealed := func(part []byte) {
		out.Write(part)
		out.Write(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(part)))
	}
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }

	out.WriteString("\xfd7zXZ\x00")
	sealed([]byte{0, 0}) // stream flags: no check

	header := []byte{2, 0, 0x21, 1, 0x10, 0, 0, 0} // 12 bytes, LZMA2, a small dictionary
	sealed(header)
	block := []byte{1} // a stored chunk that resets the dictionary
	block = binary.BigEndian.AppendUint16(block, uint16(len(content)-1))
	block = append(append(block, content...), 0)
	out.Write(pad(block))

	index := []byte{0, 1}
	index = binary.AppendUvarint(index, uint64(len(header)+4+len(block)))
	index = binary.AppendUvarint(index, uint64(len(content)))
	index = pad(index)
	sealed(index)

	footer := binary.LittleEndian.AppendUint32(nil, uint32((len(index)+4)/4-1))
	footer = append(footer, 0, 0)
	out.Write(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(footer)))
	out.Write(footer)
	out.WriteString("YZ")
	return out.Bytes()
}
