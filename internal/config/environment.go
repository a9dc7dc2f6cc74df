package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Load reads the settings of a service from the environment alone. Its error lists every
// problem.
func Load(getenv func(string) string) (Settings, error) {
	var s Settings
	parser, err := kong.New(&s, Environment(getenv))
	if err != nil {
		return s, fmt.Errorf("settings: %w", err)
	}
	if _, err := parser.Parse(nil); err != nil {
		return s, errors.Unwrap(err) // what is wrong, without the parser's wrapping
	}
	return s, nil
}

// Environment makes a kong parser read flags from their variables, and secrets from files
// too. An empty variable counts as unset. All problems are reported together once
// everything is read, including those that the Check methods of the command's settings
// report.
func Environment(getenv func(string) string) kong.Option {
	e := &environment{getenv: getenv, variables: map[*kong.Value]string{}}
	return kong.OptionFunc(func(k *kong.Kong) error {
		for _, option := range []kong.Option{
			kong.Vars{"log_format": "json", "log_level": "info"},
			kong.PostBuild(e.adopt),
			kong.Resolvers(e),
		} {
			if err := option.Apply(k); err != nil {
				return err
			}
		}
		return nil
	})
}

// environment implements kong.Resolver.
type environment struct {
	getenv    func(string) string
	problems  []error
	unread    []error // secrets that should have come from files
	variables map[*kong.Value]string
}

// adopt removes the variables from kong, which would read the process's environment and
// stop at the first invalid value.
func (e *environment) adopt(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Tag.Envs) > 0 {
			name := flag.Tag.Envs[0]
			e.variables[flag.Value] = name
			flag.Envs, flag.Tag.Envs = nil, nil
			source := "$" + name
			if isSecret(flag.Target.Type()) {
				source += " or $" + name + fileSuffix
			}
			flag.Help = strings.TrimSuffix(flag.Help, ".") + " (" + source + ")."
		}
		return next(nil)
	})
}

// Resolve implements kong.Resolver. It returns nil and no error if there is no value.
func (e *environment) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	name, ok := e.variables[flag.Value]
	if !ok {
		return nil, nil
	}
	value := e.getenv(name)
	if isSecret(flag.Target.Type()) {
		var err error
		if value, err = readSecret(e.getenv, name); err != nil {
			e.unread = append(e.unread, err)
		}
	}
	if value == "" {
		return nil, nil
	}
	attempt := reflect.New(flag.Target.Type()).Elem()
	scan := kong.Scan().PushTyped(value, kong.FlagValueToken)
	if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, attempt); err != nil {
		e.problems = append(e.problems, fmt.Errorf("%s: %w", name, err))
		return nil, nil // Validate reports it, with the others
	}
	return value, nil
}

// Validate implements kong.Resolver.
func (e *environment) Validate(app *kong.Application) error {
	if e.unread != nil { // the other checks would only repeat that the secret is missing
		return errors.Join(slices.Concat(e.unread, e.problems)...)
	}
	problems := e.problems
	for node := app.Node; node != nil; node = activeChild(node) {
		problems = append(problems, checkAll(node.Target)...)
	}
	return errors.Join(problems...)
}

func activeChild(node *kong.Node) *kong.Node {
	for _, child := range node.Children {
		if child.Active {
			return child
		}
	}
	return nil
}

type checker interface{ Check() error }

// checkAll runs the Check method of a struct, or those of its embedded structs.
func checkAll(target reflect.Value) []error {
	if target.Kind() != reflect.Struct {
		return nil
	}
	if c, ok := reflect.TypeAssert[checker](target.Addr()); ok {
		return []error{c.Check()}
	}
	var problems []error
	for i := range target.NumField() {
		if target.Type().Field(i).Anonymous {
			problems = append(problems, checkAll(target.Field(i))...)
		}
	}
	return problems
}
