package dashboard

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

//go:embed templates
var templateFiles embed.FS

// templates has a template for each page, together with the layout and the shared parts.
var templates = parseTemplates()

func parseTemplates() map[string]*template.Template {
	shared := template.Must(template.New("layout.html").Funcs(functions).
		ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	names, _ := templateFiles.ReadDir("templates") // it is embedded, so there is no error
	pages := make(map[string]*template.Template)
	for _, f := range names {
		name := strings.TrimSuffix(f.Name(), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t := template.Must(shared.Clone())
		pages[name] = template.Must(t.ParseFS(templateFiles, path.Join("templates", f.Name())))
	}
	return pages
}

// view is the data of a template: the page's own data and the request.
type view struct {
	Title string
	// Nav is the entry of the menu that the page belongs to.
	Nav string
	// Stream names the subject of the page's stream, empty for a page without live updates.
	Stream string
	// seen is the version of the subject that the page shows, empty for a list.
	seen string
	Data any
	*request
}

// view returns the view of a page.
func (r *request) view(title, nav string, data any) *view {
	return &view{Title: title, Nav: nav, Data: data, request: r}
}

// live enables live updates of the page. stream names the subject, and seen is the version
// that the page shows, so that a change before the stream begins is not missed.
func (v *view) live(stream, seen string) *view {
	v.Stream, v.seen = stream, seen
	return v
}

func (v *view) ok(name string) error { return v.render(http.StatusOK, name) }

func (v *view) render(status int, name string) error {
	var b bytes.Buffer
	if err := templates[name].ExecuteTemplate(&b, "layout.html", v); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	if v.mode != "" && status == http.StatusOK {
		const year = 365 * 24 * 60 * 60
		v.SetCookie(&http.Cookie{ //nolint:gosec // Secure is set if the public URL has https
			Name: modeCookie, Value: string(v.mode), Path: "/admin", MaxAge: year, HttpOnly: true,
			Secure: v.dashboard.secure(), SameSite: http.SameSiteLaxMode,
		})
	}
	v.Response().Header().Set(echo.HeaderContentType, echo.MIMETextHTMLCharsetUTF8)
	return v.Blob(status, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

// LoggedIn reports whether a user is logged in.
func (v *view) LoggedIn() bool { return v.user.ID != (wallet.ID{}) }

// User returns the user's e-mail address.
func (v *view) User() string { return v.user.Email }

// Role returns the user's role.
func (v *view) Role() string { return string(v.user.Role) }

// CSRF returns the token that a form must send.
func (v *view) CSRF() string { return v.csrf }

// Mode returns test, live or "".
func (v *view) Mode() string { return string(v.mode) }

// Path returns the path of a page in this mode.
func (v *view) Path(parts ...any) string {
	var b strings.Builder
	b.WriteString("/admin/" + string(v.mode))
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(fmt.Sprint(p)))
	}
	return b.String()
}

// StreamPath returns the path of the page's stream.
func (v *view) StreamPath() string {
	return v.path("/stream?" + url.Values{"of": {v.Stream}, "seen": {v.seen}}.Encode())
}

// SwitchTo returns the path of the page's section in a mode. The page itself may not exist
// in that mode.
func (v *view) SwitchTo(mode string) string {
	if v.Nav == "" || v.Nav == "overview" {
		return "/admin/" + mode
	}
	return "/admin/" + mode + "/" + v.Nav
}

// Can reports whether the user's role includes role.
func (v *view) Can(role string) bool { return v.user.Role.Includes(postgres.Role(role)) }

// Private returns personal data as the user may see it.
func (v *view) Private(s string) string { return v.private(s) }

func (r *request) private(s string) string {
	if r.user.Role.Includes(postgres.RoleSupport) {
		return s
	}
	return mask(s)
}

// mask hides a text except for its first letter and the top-level domain of an e-mail
// address.
func mask(s string) string {
	if s == "" {
		return ""
	}
	runes := []rune(s)
	name, domain, isEmail := strings.Cut(s, "@")
	if isEmail && name != "" {
		end := domain
		if dot := strings.LastIndexByte(domain, '.'); dot >= 0 {
			end = domain[dot:]
		}
		return string(runes[:1]) + "•••@•••" + end
	}
	return string(runes[:1]) + "•••"
}

// Ago returns the time since or until at.
func (v *view) Ago(at any) template.HTML {
	t, ok := asTime(at)
	if !ok {
		return "–"
	}
	return timeElement(t, ago(t, v.now), true)
}

// Age returns the time since at, in its largest unit.
func (v *view) Age(at any) string {
	t, ok := asTime(at)
	if !ok {
		return "–"
	}
	const fields = 2 // a number and its unit
	words := strings.Fields(duration(v.now.Sub(t)))
	return strings.Join(words[:min(len(words), fields)], " ")
}

// Past reports whether at is before the time of the page.
func (v *view) Past(at any) bool {
	t, ok := asTime(at)
	return ok && t.Before(v.now)
}

// Now returns the time of the page.
func (v *view) Now() time.Time { return v.now }

// Notice returns the message about the write that redirected to this page.
func (v *view) Notice() string { return notices[v.QueryParam("done")] }

// notices are the messages about writes. URLs contain only their keys, so that a link cannot
// show any other text.
var notices = map[string]string{
	"cancel": "The job was canceled. If it is running, it is canceled when its attempt ends.",
	"check":  "A check of this payment has been queued.",
	"delete": "The job was deleted.",
	"jobs":   "Done. The audit row below has the result for each job.",
	"pause":  "The queue is paused. Running jobs continue, and no new jobs start.",
	"replay": "The event is pending again, and its job has been queued.",
	"resume": "The queue was resumed.",
	"retry":  "The job has been queued to run now.",
	"snooze": "The job was snoozed.",
}

// Asset returns the path of a static file.
func (v *view) Asset(name string) string { return assets.path(name) }

// FilterPath returns the path of the first page of this list with one field of its filter
// replaced.
func (v *view) FilterPath(field, value string) string {
	q := v.Request().URL.Query()
	for _, k := range []string{"cursor", "done", field} {
		q.Del(k)
	}
	if value != "" {
		q.Set(field, value)
	}
	return withQuery(v.Request().URL.Path, q)
}

// PagePath returns the path of another page of this list.
func (v *view) PagePath(cursor string) string {
	q := v.Request().URL.Query()
	q.Del("done")
	q.Del("cursor")
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return withQuery(v.Request().URL.Path, q)
}

// CSVPath returns the path of this list as a CSV file.
func (v *view) CSVPath() string {
	q := v.Request().URL.Query()
	q.Del("done")
	q.Del("cursor")
	q.Set("format", "csv")
	return withQuery(v.Request().URL.Path, q)
}

// FirstPage reports whether this is the first page of a list.
func (v *view) FirstPage() bool { return v.QueryParam("cursor") == "" }

// Query returns a field of the filter.
func (v *view) Query(field string) string { return v.QueryParam(field) }

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
