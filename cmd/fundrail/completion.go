package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd prints the script that a shell reads once. The script asks this program
// for completions, so it never has to change.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,fish,zsh" help:"bash, fish or zsh."`
}

// completionScripts call "fundrail __complete" with the words up to the cursor. A line
// of the answer is a word, a tab and what the word means.
var completionScripts = map[string]string{
	"bash": `# To use it now: source <(fundrail completion bash)
# From now on:    fundrail completion bash > ~/.local/share/bash-completion/completions/fundrail
_fundrail() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _fundrail fundrail
`,
	"fish": `# To use it now: fundrail completion fish | source
# From now on:    fundrail completion fish > ~/.config/fish/completions/fundrail.fish
function __fundrail_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answers ($words[1] __complete $words[2..-1] 2>/dev/null)
    if test (count $answers) -gt 0
        printf '%s\n' $answers
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c fundrail -f -a '(__fundrail_complete)'
`,
	"zsh": `#compdef fundrail
# To use it now: source <(fundrail completion zsh)
# From now on:    fundrail completion zsh > "${fpath[1]}/_fundrail"
_fundrail() {
    local line
    local -a answers
    for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] && answers+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    if (( $#answers )); then
        _describe fundrail answers
    else
        _files
    fi
}
if [[ "${funcstack[1]}" == _fundrail ]]; then
    _fundrail "$@"
else
    compdef _fundrail fundrail
fi
`,
}

// Run prints the script.
func (c *completionCmd) Run(a *app) error {
	_, err := io.WriteString(a.Stdout, completionScripts[c.Shell])
	return err
}

// completeCmd prints the completions of a command line.
type completeCmd struct {
	Words []string `arg:"" optional:""`
}

// Run prints what the last word can be completed to, one candidate a line.
func (c *completeCmd) Run(k *kong.Context, a *app) error {
	words := c.Words
	if len(words) == 0 {
		words = []string{""}
	}
	for _, candidate := range complete(k.Model.Node, words) {
		if _, err := fmt.Fprintf(a.Stdout, "%s\t%s\n", candidate.word, candidate.help); err != nil {
			return err
		}
	}
	return nil
}

// candidate is a word that can come next.
type candidate struct{ word, help string }

// complete returns what the last of the words after the program's name can be completed
// to.
func complete(node *kong.Node, words []string) []candidate {
	words = joined(words)
	typed := words[len(words)-1]
	arguments := 0
	var open *kong.Flag // waits for its value
	for _, word := range words[:len(words)-1] {
		switch {
		case open != nil:
			open = nil
		case strings.HasPrefix(word, "-"):
			open = takesNext(node, word)
		default:
			if child := childOf(node, word); child != nil {
				node, arguments = child, 0
			} else {
				arguments++
			}
		}
	}
	switch name, value, assigned := strings.Cut(typed, "="); {
	case open != nil:
		return values(open.Value, "", typed)
	case assigned && strings.HasPrefix(typed, "-"):
		if flag := flagOf(node, name); flag != nil {
			return values(flag.Value, name+"=", value)
		}
		return nil
	case strings.HasPrefix(typed, "-"):
		return flags(node, typed)
	default:
		return commands(node, arguments, typed)
	}
}

// joined removes the word "=" between a flag and its value, because bash splits
// --mode=live into three words.
func joined(words []string) []string {
	var list []string
	for i := 0; i < len(words); i++ {
		last := len(list) - 1
		if words[i] == "=" && last >= 0 && strings.HasPrefix(list[last], "--") {
			list = append(list, "") // the flag's value comes in a word of its own
			if i+1 < len(words) {
				i++
				list[last+1] = words[i]
			}
			continue
		}
		list = append(list, words[i])
	}
	return list
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name || slices.Contains(child.Aliases, name) {
			return child
		}
	}
	return nil
}

// flagOf returns the flag of a command or its parents that a word with dashes names.
func flagOf(node *kong.Node, word string) *kong.Flag {
	for _, group := range node.AllFlags(false) {
		for _, flag := range group {
			if word == "--"+flag.Name || (flag.Short != 0 && word == "-"+string(flag.Short)) {
				return flag
			}
		}
	}
	return nil
}

// takesNext returns the flag that takes the next word as its value, or nil.
func takesNext(node *kong.Node, word string) *kong.Flag {
	flag := flagOf(node, word)
	if flag == nil || flag.IsBool() {
		return nil
	}
	return flag
}

func values(v *kong.Value, before, typed string) []candidate {
	var list []candidate
	if v.Enum == "" {
		return nil
	}
	for value := range strings.SplitSeq(v.Enum, ",") {
		if value != "" && strings.HasPrefix(value, typed) {
			list = append(list, candidate{before + value, firstLine(v.Help)})
		}
	}
	return list
}

func flags(node *kong.Node, typed string) []candidate {
	var list []candidate
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			if word := "--" + flag.Name; strings.HasPrefix(word, typed) {
				list = append(list, candidate{word, firstLine(flag.Help)})
			}
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return strings.Compare(a.word, b.word) })
	return list
}

// commands returns the subcommands of a command, or the values of its next argument.
func commands(node *kong.Node, arguments int, typed string) []candidate {
	var list []candidate
	for _, child := range node.Children {
		if child.Type == kong.CommandNode && !child.Hidden && strings.HasPrefix(child.Name, typed) {
			list = append(list, candidate{child.Name, firstLine(child.Help)})
		}
	}
	if arguments < len(node.Positional) {
		list = append(list, values(node.Positional[arguments], "", typed)...)
	}
	return list
}

// firstLine shortens a help text to fit beside a word.
func firstLine(help string) string {
	line, _, _ := strings.Cut(help, "\n")
	return fmt.Sprintf("%.80s", strings.ReplaceAll(line, "\t", " "))
}
