package compare

import (
	"fmt"
	"html"
	"io"
)

var colours = []string{"#b7410e", "#8a8f98", "#4a7fb5"}

// drawChart writes bars of figure by redis-server's, as SVG: a group for each result, a
// bar for each server, and a line where redis-server is.
func drawChart(w io.Writer, figure string, results []result, servers []string) error {
	const left, bar, gap, unit, most = 250, 9, 8, 300, 2.0
	group := len(servers)*bar + gap
	height := 50 + len(results)*group
	var err error
	put := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	put(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`, left+unit*int(most)+60, height)
	put(`<rect width="100%%" height="100%%" fill="white"/>`)
	put(`<text x="10" y="18" font-size="13">%s by that of %s: shorter is better</text>`, html.EscapeString(figure), oracle)
	for i, s := range servers {
		put(`<rect x="%d" y="26" width="9" height="9" fill="%s"/><text x="%d" y="35">%s</text>`, left+i*120, colours[i%len(colours)], left+13+i*120, html.EscapeString(s))
	}
	for i, r := range results {
		y := 45 + i*group
		put(`<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+len(servers)*bar/2+4, html.EscapeString(r.name))
		for j, s := range servers {
			ratio := r.ratio(s, figure)
			width := min(ratio, most) * unit
			put(`<rect x="%d" y="%d" width="%.0f" height="%d" fill="%s"/><text x="%.0f" y="%d" font-size="9">%.2f</text>`,
				left, y+j*bar, width, bar-1, colours[j%len(colours)], left+width+4, y+j*bar+8, ratio)
		}
	}
	put(`<line x1="%d" y1="40" x2="%d" y2="%d" stroke="black" stroke-dasharray="3"/>`, left+unit, left+unit, height-5)
	put(`</svg>`)
	return err
}
