package compare

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
)

// A panel of the chart shows one figure of the results that have a goal for it, as bars by
// redis-server's.
type panel struct {
	title, figure string
	right         bool    // in the second column
	most          float64 // what the longest bar stands for
}

var panels = []panel{
	{"Processor time per command: shorter is better", cpu, false, 1.6},
	{"Commands per second, server on one core: longer is better", rate, true, 4},
	{"Resident memory per element: shorter is better", size, true, 1.6},
	{"p99.9 at saturation: shorter is better", p999, true, 1.6},
}

const (
	chartWidth  = 1000
	columnWidth = chartWidth/2 - 30
	labelWidth  = 170
	barsWidth   = 200
	rowHeight   = 17
	headHeight  = 30
	chartTop    = 58
)

// The chart brings its own background, so that it can be read on a page of any colour; the
// browser says whether it is to be dark.
const chartStyle = `<style>
text { font: 11px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f }
.h { font-size: 12px; font-weight: 600 } .t { font-size: 15px; font-weight: 600 } .s { fill: #6e7781 } .v { font-variant-numeric: tabular-nums }
.page { fill: #ffffff; stroke: #d0d7de } .row { fill: #f3f4f6 } .b0 { fill: #b7410e } .b1 { fill: #6e7781 } .b2 { fill: #4a7fb5 }
.one { stroke: #24292f; stroke-width: 1.2 } .goal { stroke: #0969da; stroke-width: 2 } .met { fill: #1a7f37 } .missed { fill: #cf222e }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .s { fill: #9198a1 } .page { fill: #0d1117; stroke: #3d444d } .row { fill: #161b22 }
.b0 { fill: #e0693a } .b1 { fill: #9198a1 } .b2 { fill: #6ea8dc } .one { stroke: #e6edf3 } .goal { stroke: #4493f8 } .met { fill: #3fb950 } .missed { fill: #f85149 }
}
</style>`

// drawChart writes what has a goal, be it measured or not, as SVG, with a line below that
// says what was measured.
func drawChart(w io.Writer, results []result, below string) error {
	var d drawing
	bottoms := [2]int{chartTop, chartTop}
	for _, p := range panels {
		at, x := &bottoms[0], 20
		if p.right {
			at, x = &bottoms[1], 20+chartWidth/2
		}
		*at = d.panel(p, results, x, *at)
	}
	height := max(bottoms[0]+20, bottoms[1]) + 10
	var page drawing
	page.put(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="ferricd beside redis-server">`, chartWidth, height, chartWidth, height)
	page.put(`%s`, chartStyle)
	page.put(`<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`, chartWidth-1, height-1)
	page.put(`<text class="t" x="20" y="28">ferricd by redis-server</text>`)
	page.put(`<path class="one" d="M20 39v12"/><text x="28" y="49">redis-server, 1.00</text>`)
	page.put(`<path class="goal" d="M150 39v12"/><text x="158" y="49">the goal</text>`)
	for i, s := range d.bars {
		page.put(`<rect class="b%d" x="%d" y="40" width="10" height="10"/><text x="%d" y="49">%s</text>`, i%3, 230+i*130, 245+i*130, html.EscapeString(s))
	}
	page.put(`<text class="s" x="%d" y="49" text-anchor="end">c: connections · P: commands in flight on each · keys at random and 64 B, if nothing else is said</text>`, chartWidth-20)
	page.put(`<text class="s" x="20" y="%d">%s</text>`, height-12, html.EscapeString(below))
	page.Write([]byte(d.String() + "</svg>\n"))
	_, err := io.WriteString(w, page.String())
	return err
}

// A drawing is text of SVG, and the servers that have bars in it.
type drawing struct {
	strings.Builder
	bars []string
}

func (d *drawing) put(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

// panel draws p from (x, y) down and returns where it ends.
func (d *drawing) panel(p panel, results []result, x, y int) int {
	left := x + labelWidth
	unit := barsWidth / p.most
	d.put(`<text class="h" x="%d" y="%d">%s</text>`, x, y+19, p.title)
	y += headHeight
	for _, name := range names(false) {
		g, found := goalFor(name, p.figure)
		if !found {
			continue
		}
		r := result{Name: name}
		if i := slices.IndexFunc(results, func(r result) bool { return r.Name == name }); i >= 0 {
			r = results[i]
		}
		bars := d.compared(r, p.figure)
		d.put(`<rect class="row" x="%d" y="%d" width="%d" height="%d" rx="2"/>`, x, y, columnWidth, rowHeight-2)
		d.put(`<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+12, html.EscapeString(strings.NewReplacer(" random", "", " 64B", "").Replace(r.Name)))
		thick := float64(rowHeight-6) / float64(max(1, len(bars)))
		for i, s := range bars {
			ratio := r.ratio(s, p.figure)
			d.put(`<rect class="b%d" x="%d" y="%.1f" width="%.1f" height="%.1f"/>`, i%3, left, float64(y)+2+float64(i)*thick, min(ratio, p.most)*unit, thick)
			if i == 0 {
				d.put(`<text class="v %s" x="%d" y="%d">%.2f</text>`, g.word(ratio), left+barsWidth+8, y+12, ratio)
				d.put(`<text class="s v" x="%d" y="%d" text-anchor="end">%s</text>`, x+columnWidth-4, y+12, amount(r.Of[s][p.figure], p.figure))
			}
		}
		d.put(`<path class="one" d="M%.1f %dv%d"/>`, float64(left)+unit, y-1, rowHeight)
		d.put(`<path class="goal" d="M%.1f %dv%d"/>`, float64(left)+g.bound*unit, y-1, rowHeight)
		y += rowHeight
	}
	return y
}

// compared are the servers of r that have a bar: all but redis-server, which is the line.
func (d *drawing) compared(r result, figure string) []string {
	var found []string
	for _, s := range r.Servers {
		if s != oracle && r.ratio(s, figure) > 0 {
			found = append(found, s)
		}
	}
	if len(found) > len(d.bars) {
		d.bars = found
	}
	return found
}

// amount is a figure as a chart has room for.
func amount(is float64, figure string) string {
	switch {
	case figure == rate && is >= 1e6:
		return fmt.Sprintf("%.2f M", is/1e6)
	case figure == rate:
		return fmt.Sprintf("%.0f k", is/1e3)
	case figure == size:
		return fmt.Sprintf("%.0f B", is)
	case is >= 1e3:
		return fmt.Sprintf("%.1f ms", is/1e3)
	case is >= 100:
		return fmt.Sprintf("%.0f µs", is)
	}
	return fmt.Sprintf("%.2f µs", is)
}
