"""What functions of the standard library do with a reader or writer they are given.

Law: a function that is not named here may close its argument.
"""

from __future__ import annotations

_READERS = (
    "io.Copy io.CopyN io.CopyBuffer io.ReadAll io.ReadFull io.ReadAtLeast io.LimitReader io.TeeReader "
    "io.MultiReader io.NopCloser io.NewSectionReader io.WriteString io.MultiWriter bufio.NewReader "
    "bufio.NewReaderSize bufio.NewScanner bufio.NewWriter bufio.NewWriterSize bufio.NewReadWriter "
    "ioutil.ReadAll ioutil.NopCloser json.NewDecoder json.NewEncoder xml.NewDecoder xml.NewEncoder "
    "csv.NewReader csv.NewWriter gob.NewDecoder gob.NewEncoder gzip.NewReader gzip.NewWriter zlib.NewReader "
    "zlib.NewWriter flate.NewReader flate.NewWriter bzip2.NewReader lzw.NewReader tar.NewReader tar.NewWriter "
    "zip.NewReader base64.NewDecoder hex.NewDecoder hex.Dumper binary.Read binary.Write html.Parse "
    "multipart.NewReader textproto.NewReader strings.NewReplacer fmt.Fprint fmt.Fprintf fmt.Fprintln fmt.Fscan "
    "fmt.Fscanf fmt.Fscanln fmt.Println fmt.Printf fmt.Print fmt.Sprintf fmt.Sprint fmt.Sprintln fmt.Errorf "
    "httputil.DumpResponse http.ReadResponse log.Println log.Printf len cap min max print println "
    "reflect.TypeOf reflect.ValueOf any httputil.NewChunkedReader"
)
_WRAPPERS = (
    "io.LimitReader io.TeeReader io.MultiReader io.NopCloser io.NewSectionReader bufio.NewReader "
    "bufio.NewReaderSize bufio.NewScanner bufio.NewWriter bufio.NewWriterSize ioutil.NopCloser json.NewDecoder "
    "json.NewEncoder xml.NewDecoder csv.NewReader csv.NewWriter gob.NewDecoder gzip.NewReader gzip.NewWriter "
    "zlib.NewReader zlib.NewWriter flate.NewReader flate.NewWriter bzip2.NewReader lzw.NewReader tar.NewReader "
    "tar.NewWriter zip.NewReader base64.NewDecoder hex.NewDecoder multipart.NewReader textproto.NewReader "
    "io.MultiWriter"
)
KEEPS_OPEN = frozenset(_READERS.split())
"""They use their argument and leave it open."""
WRAPS = frozenset(_WRAPPERS.split())
"""Their result reads from their argument, and closing it (where that can be done) does not close that."""
