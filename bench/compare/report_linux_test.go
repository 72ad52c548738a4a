package compare

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A report is what one comparison has shown so far. It is written to its directory after
// each result, so that a run that is cut short keeps what it has measured.
type report struct {
	Commit, Date, Machine, Version, Settings string
	Results                                  []result

	dir string // "": nothing is written
}

// resume takes over what an earlier run of the same commit with the same settings has
// left in r's directory.
func (r *report) resume() error {
	text, err := os.ReadFile(filepath.Join(r.dir, "compare.json"))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var before report
	if err := json.Unmarshal(text, &before); err != nil {
		return err
	}
	if before.Commit != r.Commit || before.Settings != r.Settings {
		return fmt.Errorf("%s holds figures of commit %s, %s; this is %s, %s", r.dir, before.Commit, before.Settings, r.Commit, r.Settings)
	}
	r.Results = before.Results
	return nil
}

// has tells whether name has been measured.
func (r *report) has(name string) bool {
	return slices.ContainsFunc(r.Results, func(of result) bool { return of.Name == name })
}

// add keeps a result and writes the files anew.
func (r *report) add(of result) error {
	r.Results = append(r.Results, of)
	r.sort()
	return r.write()
}

func (r *report) write() error {
	if r.dir == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	var tables, chart bytes.Buffer
	r.print(&tables)
	if err := drawChart(&chart, r.Results, fmt.Sprintf("commit %s, %s, beside %s", r.Commit, r.Date, r.Version)); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"compare.json": append(text, '\n'), "compare.md": tables.Bytes(), "compare.svg": chart.Bytes()} {
		// At no time is there half a file.
		path := filepath.Join(r.dir, name)
		if err := os.WriteFile(path+".new", content, 0o644); err != nil {
			return err
		}
		if err := os.Rename(path+".new", path); err != nil {
			return err
		}
	}
	return nil
}

// names are those of all that is measured, in order.
func names(every bool) []string {
	var all []string
	for _, s := range scenarios(every) {
		all = append(all, s.String())
	}
	for _, k := range kinds(1, every) {
		all = append(all, k.name)
	}
	return all
}

// sort brings the results of several runs into the order of one.
func (r *report) sort() {
	all := names(true)
	slices.SortStableFunc(r.Results, func(a, b result) int {
		return cmp.Compare(slices.Index(all, a.Name), slices.Index(all, b.Name))
	})
}

func (r *report) print(w io.Writer) {
	fmt.Fprintln(w, "# ferricd beside redis-server\n\nMade by `make compare`; [compare/doc.go](compare/doc.go) says how it is measured and what the columns mean.")
	fmt.Fprintf(w, "\n| | |\n|---|---|\n| commit | %s |\n| date | %s |\n| machine | %s |\n| beside | %s |\n| settings | %s |\n", r.Commit, r.Date, r.Machine, r.Version, r.Settings)
	fmt.Fprint(w, "\n![chart](compare.svg)\n\n## Goals\n\n")
	printGoals(w, r.Results)
	printLimits(w, r.Results)
	for _, table := range []struct {
		title, what string
		columns     []string
	}{{"Loads", "scenario", loadColumns}, {"Memory", "bytes of an element", []string{size}}} {
		headed := false
		for _, of := range r.Results {
			if _, found := of.Of[ours][table.columns[0]]; !found {
				continue
			}
			if !headed {
				fmt.Fprintf(w, "\n## %s\n", table.title)
				printHead(w, table.what, table.columns)
				headed = true
			}
			printResult(w, of, table.columns)
		}
	}
}

// printLimits names the loads in which the client was not cheaper than a server, and how
// much else the machine did.
func printLimits(w io.Writer, results []result) {
	loads, elsewhere := 0, []float64{}
	var dear []string
	for _, r := range results {
		if r.Of[ours][clientCPU] <= 0 {
			continue
		}
		loads++
		elsewhere = append(elsewhere, r.Of[ours][others])
		if slices.ContainsFunc(r.Servers, func(s string) bool { return r.Of[s][clientCPU] >= r.Of[s][cpu] }) {
			dear = append(dear, r.Name)
		}
	}
	if loads == 0 {
		return
	}
	fmt.Fprintf(w, "\nWhile a server was loaded, others kept %.2f cores busy in the median row, %.2f at most.\n", median(elsewhere), slices.Max(elsewhere))
	if len(dear) == 0 {
		fmt.Fprintf(w, "The client was cheaper per command than each server in all %d loads.\n", loads)
		return
	}
	fmt.Fprintf(w, "The client was not cheaper per command than each server in %d of %d loads, whose throughput is therefore as much its own as theirs: %s.\n",
		len(dear), loads, strings.Join(dear, ", "))
}

// printHead and printResult print a table, a line for each server.
func printHead(w io.Writer, what string, columns []string) {
	fmt.Fprintf(w, "\n| %s | server |", what)
	for _, c := range columns {
		if c == cpu {
			c += " | in the rounds"
		}
		fmt.Fprintf(w, " %s |", c)
	}
	fmt.Fprint(w, "\n|---|---|")
	for _, c := range columns {
		if c == cpu {
			fmt.Fprint(w, "--:|")
		}
		fmt.Fprint(w, "--:|")
	}
	fmt.Fprintln(w)
}

func printResult(w io.Writer, r result, columns []string) {
	for _, s := range r.Servers {
		fmt.Fprintf(w, "| %s | %s |", r.Name, s)
		for _, c := range columns {
			is := r.Of[s][c]
			if is < 100 {
				fmt.Fprintf(w, " %.2f", is)
			} else {
				fmt.Fprintf(w, " %.0f", is)
			}
			if ratio := r.ratio(s, c); ratio > 0 && c != clientCPU && c != others {
				fmt.Fprintf(w, " (%.2f)", ratio)
			}
			if c == cpu {
				fmt.Fprintf(w, " | %.2f–%.2f", r.Of[s][least], r.Of[s][most])
			}
			fmt.Fprint(w, " |")
		}
		fmt.Fprintln(w)
	}
}

// median is that of a list that is not empty, which it sorts.
func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// newReport says what is measured, where, and when.
func newReport(dir, settings string) *report {
	return &report{Commit: commit(), Date: time.Now().UTC().Format(time.DateOnly), Machine: machine(), Version: version(), Settings: settings, dir: dir}
}

func commit() string {
	id, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no", "--", "../..", ":!../*.md", ":!../compare.*", ":!../../README.md").Output()
	if err != nil || len(changed) > 0 {
		return strings.TrimSpace(string(id)) + " with changes"
	}
	return strings.TrimSpace(string(id))
}

// machine is what the kernel says of it.
func machine() string {
	field := func(file, name string) string {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
				return strings.TrimSpace(value)
			}
		}
		return name + " unknown"
	}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d cores, %s, %s, Linux %s, %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"),
		field("/proc/meminfo", "MemTotal"), strings.TrimSpace(string(release)), runtime.Version())
}

// version is which redis-server it is that all is compared with.
func version() string {
	text, _ := exec.Command(oracle, "--version").Output()
	for _, word := range strings.Fields(string(text)) {
		if v, found := strings.CutPrefix(word, "v="); found {
			return oracle + " " + v
		}
	}
	return oracle
}
