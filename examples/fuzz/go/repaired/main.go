// A small client with only the standard library, without a defect.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

type response struct {
	Status string
	Output []struct {
		Type    string
		Content []struct{ Text string }
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	stream := os.Getenv("MOCKSERVER_STREAM") == "1"
	body, err := json.Marshal(map[string]any{
		"model": os.Getenv("MOCKSERVER_MODEL"), "input": os.Getenv("MOCKSERVER_INPUT"), "stream": stream,
	})
	if err != nil {
		return err
	}
	request, err := http.NewRequest("POST", os.Getenv("OPENAI_BASE_URL")+"/responses", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
	request.Header.Set("Content-Type", "application/json")
	seconds, err := strconv.ParseFloat(os.Getenv("MOCKSERVER_TIMEOUT"), 64)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: time.Duration(seconds / 2 * float64(time.Second))}
	reply, err := client.Do(request)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return errors.New(reply.Status)
	}
	answer := &response{}
	if stream {
		answer, err = last(reply.Body)
	} else {
		err = json.NewDecoder(reply.Body).Decode(answer)
	}
	if err != nil {
		return err
	}
	if answer == nil || (answer.Status != "completed" && answer.Status != "incomplete") {
		return errors.New("the reply failed")
	}
	if answer.Status == "incomplete" {
		fmt.Fprintln(os.Stderr, "the reply is incomplete")
	}
	for _, item := range answer.Output {
		if item.Type == "message" {
			for _, part := range item.Content {
				fmt.Print(part.Text)
			}
		}
	}
	return nil
}

// The response of the event response.completed or response.incomplete; nil if there is none.
func last(body io.Reader) (*response, error) {
	var answer *response
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 16<<20) // an event repeats the whole text: the default of 64 KiB is not enough
	lines.Split(line)
	for lines.Scan() {
		data := lines.Bytes()
		if !bytes.HasPrefix(data, []byte("data:")) {
			continue
		}
		event := struct {
			Type     string
			Response *response
		}{}
		if err := json.Unmarshal(data[len("data:"):], &event); err != nil {
			return nil, err
		}
		if event.Type == "response.completed" || event.Type == "response.incomplete" {
			answer = event.Response
		}
	}
	return answer, lines.Err()
}

// A line that ends with \n, \r\n or \r; the extra empty line after a split \r\n does no harm.
func line(data []byte, atEnd bool) (int, []byte, error) {
	if at := bytes.IndexAny(data, "\r\n"); at >= 0 {
		return at + 1, data[:at], nil
	}
	if atEnd && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
