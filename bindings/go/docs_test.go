package pa_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// unindented is text without the indentation of its lines, and without empty ones.
func unindented(text string) string {
	var lines []string
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestWhatTheManualShowsIsRunAsAnExample(t *testing.T) {
	manual, err := os.ReadFile("../../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	run := unindented(string(examples))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(manual), -1)
	if len(blocks) < 8 {
		t.Errorf("the manual shows only %d things", len(blocks))
	}
	for _, block := range blocks {
		if strings.HasPrefix(block[1], "package main") {
			continue // tests/docs/check_go_page builds it
		}
		if !strings.Contains(run, unindented(block[1])) {
			t.Errorf("this is in no example:\n%s", block[1])
		}
	}
}

func TestTheManualNamesEachOption(t *testing.T) {
	manual, err := os.ReadFile("../../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("options.go")
	if err != nil {
		t.Fatal(err)
	}
	options := regexp.MustCompile(`(?m)^func ([A-Z]\w+)`).FindAllStringSubmatch(string(source), -1)
	for _, option := range options {
		if !strings.Contains(string(manual), "`"+option[1]) {
			t.Errorf("the manual does not speak of %s", option[1])
		}
	}
}
