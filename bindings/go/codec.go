package pa

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
)

// A Codec turns items and values into bytes and back, on their way to worker processes and from there. Its methods are called by
// many goroutines at once.
type Codec interface {
	Marshal(value any) ([]byte, error)
	// Unmarshal stores what Marshal made of a value where target points to. It may keep data.
	Unmarshal(data []byte, target any) error
}

var (
	// Gob is encoding/gob: each item and value is a stream of its own.
	Gob Codec = gobCodec{}
	// JSON is encoding/json.
	JSON Codec = jsonCodec{}
)

type gobCodec struct{}

func (gobCodec) Marshal(value any) ([]byte, error) {
	var buffer bytes.Buffer
	err := gob.NewEncoder(&buffer).Encode(value)
	return buffer.Bytes(), err
}

func (gobCodec) Unmarshal(data []byte, target any) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(target)
}

type jsonCodec struct{}

func (jsonCodec) Marshal(value any) ([]byte, error)       { return json.Marshal(value) }
func (jsonCodec) Unmarshal(data []byte, target any) error { return json.Unmarshal(data, target) }

// encode is Marshal, whatever the codec does.
func encode(codec Codec, value any) (data []byte, err error) {
	err = attempt(func() (err error) {
		data, err = codec.Marshal(value)
		return err
	})
	return data, err
}

func decode(codec Codec, data []byte, target any) error {
	return attempt(func() error { return codec.Unmarshal(data, target) })
}

// attempt makes an error of a panic.
func attempt(function func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = crash(panicked)
		}
	}()
	return function()
}
