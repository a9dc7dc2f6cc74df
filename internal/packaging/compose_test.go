//go:build packaging

package packaging_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
)

// composeFile is docker-compose.yml with defaults filled in and anchors resolved.
type composeFile struct {
	Services map[string]struct {
		Command     []string                  `json:"command"`
		DependsOn   map[string]map[string]any `json:"depends_on"`
		Environment map[string]*string        `json:"environment"`
		Healthcheck map[string]any            `json:"healthcheck"`
		Image       string                    `json:"image"`
		Ports       []map[string]any          `json:"ports"`
		Profiles    []string                  `json:"profiles"`
		ReadOnly    bool                      `json:"read_only"`
	} `json:"services"`
}

func TestCompose(t *testing.T) {
	t.Parallel()

	reader := os.Getenv("COMPOSE_SPEC_BIN")
	require.NotEmpty(t, reader, "COMPOSE_SPEC_BIN names the compose-spec program of the tools module; .ci/run packaging sets it")
	cmd := exec.CommandContext(t.Context(), reader, "-format", "json", "docker-compose.yml")
	cmd.Dir, cmd.Env = root, []string{} // the defaults, whatever the environment says
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var file composeFile
	require.NoError(t, json.Unmarshal(out, &file))

	t.Run("CommandsExist", func(t *testing.T) {
		t.Parallel()

		commands := 0
		for _, service := range file.Services {
			if service.Image != "fundrail" {
				continue
			}
			commands++
			out, err := runAlone(t, append(service.Command, "--help")...)
			require.NoError(t, err, out)
		}
		require.NotZero(t, commands)
	})

	t.Run("DependenciesExist", func(t *testing.T) {
		t.Parallel()

		for name, service := range file.Services {
			for other, how := range service.DependsOn {
				require.Contains(t, file.Services, other, name)
				if how["condition"] == "service_healthy" {
					require.NotEmpty(t, file.Services[other].Healthcheck, "%s waits for the health of %s", name, other)
				}
			}
		}
	})

	t.Run("EnvironmentIsKnown", func(t *testing.T) {
		t.Parallel()

		var known []string
		for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Settings]()) {
			known = append(known, strings.Split(field.Tag.Get("env"), ",")...)
		}
		for name, service := range file.Services {
			if service.Image != "fundrail" {
				continue
			}
			for key := range service.Environment {
				require.Contains(t, known, key, name)
			}
		}
	})

	t.Run("OnlyTheServiceStartsByDefault", func(t *testing.T) {
		t.Parallel()

		for name, service := range file.Services {
			switch name {
			case "fundrail", "migrate", "postgres":
				require.Empty(t, service.Profiles, name)
			default:
				require.NotEmpty(t, service.Profiles, name)
			}
		}
	})

	t.Run("PortsAreLocal", func(t *testing.T) {
		t.Parallel()

		for name, service := range file.Services {
			for _, port := range service.Ports {
				require.Equal(t, "127.0.0.1", port["host_ip"], name)
			}
		}
	})

	t.Run("ServiceHasNoDisk", func(t *testing.T) {
		t.Parallel()

		for name, service := range file.Services {
			require.Equal(t, service.Image == "fundrail", service.ReadOnly, name)
		}
	})

	t.Run("SecretsComeFromOutside", func(t *testing.T) {
		t.Parallel()

		for name, service := range file.Services {
			for key, value := range service.Environment {
				if strings.Contains(key, "SECRET") {
					require.Nil(t, value, "%s of %s", key, name)
				}
			}
		}
	})
}
