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

// templates holds each page, together with the layout and the parts that pages
// share.
var templates = parseTemplates()

func parseTemplates() map[string]*template.Template {
	shared := template.Must(template.New("layout.html").Funcs(functions).
		ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	names, _ := templateFiles.ReadDir("templates") // embedded: it is there
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

// view is what a template sees of a page: its own data, and who looks at it.
type view struct {
	Title string
	// Nav is the entry of the menu that the page belongs to.
	Nav string
	// Stream is what the page is kept up to date about, empty for a page that is not.
	Stream string
	// seen is the version of it that the page shows, empty for a list.
	seen string
	Data any
	*request
}

// view begins a page.
func (r *request) view(title, nav string, data any) *view {
	return &view{Title: title, Nav: nav, Data: data, request: r}
}

// live has the page follow what it shows: a name that the stream knows, and the
// version that is shown, so that what changes before the stream begins isn't missed.
func (v *view) live(stream, seen string) *view {
	v.Stream, v.seen = stream, seen
	return v
}

func (v *view) ok(name string) error { return v.render(http.StatusOK, name) }

func (v *view) render(status int, name string) error {
	var b bytes.Buffer
	if err := templates[name].ExecuteTemplate(&b, "layout.html", v); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	if v.mode != "" && status == http.StatusOK {
		const year = 365 * 24 * 60 * 60
		v.SetCookie(&http.Cookie{ //nolint:gosec // secure wherever browsers come over https
			Name: modeCookie, Value: string(v.mode), Path: "/admin", MaxAge: year, HttpOnly: true,
			Secure: v.dashboard.secure(), SameSite: http.SameSiteLaxMode,
		})
	}
	v.Response().Header().Set(echo.HeaderContentType, echo.MIMETextHTMLCharsetUTF8)
	return v.Blob(status, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

// LoggedIn reports whether somebody is.
func (v *view) LoggedIn() bool { return v.user.ID != (wallet.ID{}) }

// User is the e-mail of who looks.
func (v *view) User() string { return v.user.Email }

// Role is what the user may do.
func (v *view) Role() string { return string(v.user.Role) }

// CSRF is the token that a form must send back.
func (v *view) CSRF() string { return v.csrf }

// Mode is test, live or empty.
func (v *view) Mode() string { return string(v.mode) }

// Path is the address of a page in this mode.
func (v *view) Path(parts ...any) string {
	var b strings.Builder
	b.WriteString("/admin/" + string(v.mode))
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(fmt.Sprint(p)))
	}
	return b.String()
}

// StreamPath is the address of the events that the page follows.
func (v *view) StreamPath() string {
	return v.path("/stream?" + url.Values{"of": {v.Stream}, "seen": {v.seen}}.Encode())
}

// SwitchTo is the address of the section in a mode; not of the very page, which
// does not exist there.
func (v *view) SwitchTo(mode string) string {
	if v.Nav == "" || v.Nav == "overview" {
		return "/admin/" + mode
	}
	return "/admin/" + mode + "/" + v.Nav
}

// Can reports whether the user's role includes another.
func (v *view) Can(role string) bool { return v.user.Role.Includes(postgres.Role(role)) }

// Private is personal data as this user may see it.
func (v *view) Private(s string) string { return v.private(s) }

func (r *request) private(s string) string {
	if r.user.Role.Includes(postgres.RoleSupport) {
		return s
	}
	return mask(s)
}

// mask leaves the first letter, and of an e-mail address its domain's end.
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

// Ago is how long ago something was, or how long it will take.
func (v *view) Ago(at any) template.HTML {
	t, ok := asTime(at)
	if !ok {
		return "–"
	}
	return timeElement(t, ago(t, v.now), true)
}

// Age is how long something has been going on, in its largest unit.
func (v *view) Age(at any) string {
	t, ok := asTime(at)
	if !ok {
		return "–"
	}
	const units = 2 // of which each has a number and a name
	words := strings.Fields(duration(v.now.Sub(t)))
	return strings.Join(words[:min(len(words), units)], " ")
}

// Past reports whether a time is over.
func (v *view) Past(at any) bool {
	t, ok := asTime(at)
	return ok && t.Before(v.now)
}

// Now is the time of the page.
func (v *view) Now() time.Time { return v.now }

// Notice says what the request before this one did.
func (v *view) Notice() string { return notices[v.QueryParam("done")] }

// notices are the things that a write can have done. They are named in addresses,
// so that nothing but these can be said.
var notices = map[string]string{
	"cancel":  "The job is canceled, or will be when its attempt ends.",
	"check":   "A check of this payment has been queued.",
	"delete":  "The job was deleted.",
	"jobs":    "Done. What became of each job stands in the audit row below.",
	"pause":   "The queue is paused. Jobs that run go on; no new ones start.",
	"replay":  "The event is pending again, and its job has been queued.",
	"resume":  "The queue works again.",
	"retry":   "The job has been queued to run now.",
	"snooze":  "The job has been put off.",
	"already": "Nothing to do: it was so already.",
}

// Asset is the address of a static file.
func (v *view) Asset(name string) string { return assets.path(name) }

// FilterPath is the address of this list with one field of its filter replaced,
// from the first page on.
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

// PagePath is the address of another page of this list.
func (v *view) PagePath(cursor string) string {
	q := v.Request().URL.Query()
	q.Del("done")
	q.Del("cursor")
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return withQuery(v.Request().URL.Path, q)
}

// CSVPath is the address of this list as a file.
func (v *view) CSVPath() string {
	q := v.Request().URL.Query()
	q.Del("done")
	q.Del("cursor")
	q.Set("format", "csv")
	return withQuery(v.Request().URL.Path, q)
}

// FirstPage reports whether this is the first page of a list.
func (v *view) FirstPage() bool { return v.QueryParam("cursor") == "" }

// Query is a field of the filter.
func (v *view) Query(field string) string { return v.QueryParam(field) }

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
