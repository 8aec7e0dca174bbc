// Verifies a C2SP tlog-tiles log with Go's own checksum-database code, golang.org/x/mod/sumdb.
//
//	go-tlog PREFIX VKEY [OLDER-CHECKPOINT]
//
// PREFIX is the log's address without a slash at the end; VKEY the log's key as sumdb/note prints
// it; OLDER-CHECKPOINT a file with a checkpoint that was fetched before. Every object of the log is
// fetched and checked. One line of JSON and exit code 0 if the log is good; the reason and 3 if it is
// not.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height  = 8           // of a C2SP tile
	width   = 1 << height // hashes in a full tile
	sampled = 64          // entries whose inclusion is proved
	largest = width * (2 + 65535)
)

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "usage: go-tlog PREFIX VKEY [OLDER-CHECKPOINT]")
		os.Exit(2)
	}
	report, err := verify(os.Args[1], os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	line, _ := json.Marshal(report)
	fmt.Println(string(line))
}

// report tells what was checked.
type report struct {
	Origin  string `json:"origin"`
	Size    int64  `json:"size"`
	Root    string `json:"root"`
	Tiles   int    `json:"tiles"`
	Bundles int    `json:"bundles"`
	Proofs  int    `json:"proofs"`
	Older   int64  `json:"older"`
}

func verify(prefix, vkey string, older []string) (*report, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	text, err := fetch(prefix+"/checkpoint", 1<<20)
	if err != nil {
		return nil, err
	}
	tree, err := open(text, verifier)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	log := &log{prefix: prefix, tree: tree, data: map[tlog.Tile][]byte{}}
	log.proven = tlog.TileHashReader(tree, log)
	r := &report{Origin: verifier.Name(), Size: tree.N, Root: tree.Hash.String(), Older: -1}
	if err = log.checkRoot(); err != nil {
		return nil, err
	}
	if r.Tiles, err = log.checkTiles(); err != nil {
		return nil, err
	}
	if r.Bundles, err = log.checkBundles(); err != nil {
		return nil, err
	}
	if r.Proofs, err = log.checkProofs(); err != nil {
		return nil, err
	}
	if len(older) == 1 {
		if r.Older, err = log.checkGrowth(older[0], verifier); err != nil {
			return nil, fmt.Errorf("growth from %s: %w", older[0], err)
		}
	}
	return r, nil
}

// open checks a signed checkpoint and reads its three lines. sumdb's own ParseTree expects another
// first line.
func open(text []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.SplitN(opened.Text, "\n", 4)
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("%d lines, not three", len(lines)-1)
	}
	if lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("origin %q, key of %q", lines[0], verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return tlog.Tree{}, fmt.Errorf("root %q", lines[2])
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

// emptyRoot is what RFC 6962 says of no leaves: SHA-256 of nothing.
var emptyRoot, _ = tlog.ParseHash("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")

// log is a log whose tiles are fetched once; it is a tlog.TileReader.
type log struct {
	prefix string
	tree   tlog.Tree
	data   map[tlog.Tile][]byte
	proven tlog.HashReader
}

func (l *log) Height() int { return height }

// SaveTiles has nothing to do: what is not proven ends the program.
func (l *log) SaveTiles([]tlog.Tile, [][]byte) {}

func (l *log) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		data, ok := l.data[tile]
		if !ok {
			var err error
			if data, err = fetch(l.prefix+"/"+path(tile), width*tlog.HashSize); err != nil {
				return nil, err
			}
			if len(data) != tile.W*tlog.HashSize {
				return nil, fmt.Errorf("%s has %d bytes", path(tile), len(data))
			}
			l.data[tile] = data
		}
		all = append(all, data)
	}
	return all, nil
}

// path is where C2SP has a tile: without sumdb's height, and with another name for the entries.
func path(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", tile.H))
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

// checkRoot computes the root from the tiles at the right edge.
func (l *log) checkRoot() error {
	root := emptyRoot
	if l.tree.N > 0 {
		var err error
		if root, err = tlog.TreeHash(l.tree.N, l.proven); err != nil {
			return fmt.Errorf("root from tiles: %w", err)
		}
	}
	if root != l.tree.Hash {
		return fmt.Errorf("the tiles' root is %v, the checkpoint's is %v", root, l.tree.Hash)
	}
	return nil
}

// tiles lists the tiles of a level, -1 being the entries.
func (l *log) tiles(level int) []tlog.Tile {
	hashes := l.tree.N
	if level > 0 {
		hashes >>= uint(height * level)
	}
	var tiles []tlog.Tile
	for n := int64(0); n*width < hashes; n++ {
		tile := tlog.Tile{H: height, L: level, N: n, W: width}
		if rest := hashes - n*width; rest < width {
			tile.W = int(rest)
		}
		tiles = append(tiles, tile)
	}
	return tiles
}

// checkTiles checks every full tile against its hash in the level above. Partial tiles are what the
// root was computed from. TileHashReader of x/mod 0.7 leaves some tiles unchecked where several
// parts of the right edge lie in one tile, so this does not rest on it.
func (l *log) checkTiles() (int, error) {
	count := 0
	for level := 0; l.tree.N>>uint(height*level) > 0; level++ {
		above := l.tiles(level + 1)
		for _, tile := range l.tiles(level) {
			data, err := l.ReadTiles([]tlog.Tile{tile})
			if err != nil {
				return 0, err
			}
			count++
			if tile.W < width {
				continue
			}
			parent, err := l.ReadTiles(above[tile.N/width:][:1])
			if err != nil {
				return 0, err
			}
			inner := height*(level+1) - 1
			told, err := tlog.HashFromTile(above[tile.N/width], parent[0], tlog.StoredHashIndex(inner+1, tile.N))
			if err != nil {
				return 0, err
			}
			var halves [2]tlog.Hash
			for i := range halves {
				at := tlog.StoredHashIndex(inner, 2*tile.N+int64(i))
				if halves[i], err = tlog.HashFromTile(tile, data[0], at); err != nil {
					return 0, err
				}
			}
			if tlog.NodeHash(halves[0], halves[1]) != told {
				return 0, fmt.Errorf("%s is not what the level above says", path(tile))
			}
		}
	}
	return count, nil
}

// checkBundles checks every entry against its leaf in level 0.
func (l *log) checkBundles() (int, error) {
	leaves := l.tiles(0)
	for i, tile := range l.tiles(-1) {
		rest, err := fetch(l.prefix+"/"+path(tile), largest)
		if err != nil {
			return 0, err
		}
		hashes, err := l.ReadTiles(leaves[i : i+1])
		if err != nil {
			return 0, err
		}
		for at := 0; at < tile.W; at++ {
			if len(rest) < 2 || len(rest)-2 < int(binary.BigEndian.Uint16(rest)) {
				return 0, fmt.Errorf("%s ends in entry %d", path(tile), at)
			}
			len := int(binary.BigEndian.Uint16(rest))
			hash := tlog.RecordHash(rest[2 : 2+len])
			rest = rest[2+len:]
			if !bytes.Equal(hash[:], hashes[0][at*tlog.HashSize:][:tlog.HashSize]) {
				return 0, fmt.Errorf("entry %d of %s is not the leaf of level 0", at, path(tile))
			}
		}
		if len(rest) != 0 {
			return 0, fmt.Errorf("%s goes on after its %d entries", path(tile), tile.W)
		}
	}
	return len(l.tiles(-1)), nil
}

// checkProofs proves entries from first to last to be in the log.
func (l *log) checkProofs() (int, error) {
	count := int64(sampled)
	if l.tree.N < count {
		count = l.tree.N
	}
	for i := int64(0); i < count; i++ {
		index := i
		if count > 1 {
			index = i * (l.tree.N - 1) / (count - 1)
		}
		leaf, err := l.proven.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return 0, fmt.Errorf("leaf %d: %w", index, err)
		}
		proof, err := tlog.ProveRecord(l.tree.N, index, l.proven)
		if err != nil {
			return 0, fmt.Errorf("proof of entry %d: %w", index, err)
		}
		if err := tlog.CheckRecord(proof, l.tree.N, l.tree.Hash, index, leaf[0]); err != nil {
			return 0, fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return int(count), nil
}

// checkGrowth proves that the log goes on from an older checkpoint of its own; answers with its size.
func (l *log) checkGrowth(file string, verifier note.Verifier) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	older, err := open(text, verifier)
	if err != nil || older.N == 0 {
		return older.N, err
	}
	if older.N > l.tree.N {
		return 0, fmt.Errorf("it had %d entries, and has %d", older.N, l.tree.N)
	}
	proof, err := tlog.ProveTree(l.tree.N, older.N, l.proven)
	if err != nil {
		return 0, err
	}
	return older.N, tlog.CheckTree(proof, l.tree.N, l.tree.Hash, older.N, older.Hash)
}

// fetch gets an object of at most so many bytes.
func fetch(url string, most int64) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err == nil && int64(len(body)) > most {
		err = fmt.Errorf("%s has more than %d bytes", url, most)
	}
	return body, err
}
