// Sends one request with the standard library, which reads HTTPS_PROXY and, on Linux, SSL_CERT_FILE.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

const url = "https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1/responses"

func main() {
	body := strings.NewReader(`{"model": "qwen3-max-2026-01-23", "input": "Hello!"}`)
	request, _ := http.NewRequest("POST", url, body)
	request.Header.Set("Authorization", "Bearer "+os.Getenv("DASHSCOPE_API_KEY"))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	text, _ := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(text))
}
