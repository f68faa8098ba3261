package main

import (
	"fmt"
	"image/color"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

var (
	oursColor = color.RGBA{R: 0x00, G: 0x7d, B: 0x9c, A: 0xff}
	peerColor = color.RGBA{R: 0xe0, G: 0x8a, B: 0x1e, A: 0xff}
	lineColor = color.Gray{Y: 0x99}
)

// bars are what the chart shows: of each row its name, the share of the limit
// that we reach, and the share that the best peer reaches, 0 without one.
type bars struct {
	names       []string
	ours, peers plotter.Values
}

// chartBars takes the rows with a limit on the device's speed, not those of the way
// to it; the last first, as the vertical axis grows upwards.
func chartBars(rows []result) bars {
	var b bars
	for i := len(rows) - 1; i >= 0; i-- {
		x := &rows[i]
		if x.Limit == 0 || x.Gbs+x.Tflops == 0 || x.bus {
			continue
		}
		share, peer := x.fraction(), 0.0
		if _, us := x.best(); us > 0 {
			peer = share * x.Micros / us
		}
		b.names, b.ours, b.peers = append(b.names, x.Task), append(b.ours, share), append(b.peers, peer)
	}
	return b
}

// chart draws the report to a file, whose name says the format (svg, png, pdf).
func (p *report) chart(file string) error {
	b := chartBars(p.Rows)
	if len(b.names) == 0 {
		return fmt.Errorf("no row that was measured has a limit, so there is nothing to draw in %s", file)
	}
	c := plot.New()
	c.Title.Text = p.Device + ", " + p.Date[:len("2006-01-02")]
	c.Title.TextStyle.Font.Size = vg.Points(10)
	c.X.Label.TextStyle.Font.Size = vg.Points(9)
	c.X.Label.Text = "share of the limit measured in the same run (products: of the multiply-add units' peak)"
	c.Y.Label.Text = " " // keeps the longest names from the edge
	c.X.Min = 0
	const thick = vg.Length(6)
	const legendRows = 1.2 // of room above the bars
	for i, s := range []struct {
		name   string
		values plotter.Values
		color  color.Color
	}{{"gpuarray", b.ours, oursColor}, {"fastest of PyTorch, torch.compile, CuPy and JAX", b.peers, peerColor}} {
		bar, err := plotter.NewBarChart(s.values, thick)
		if err != nil {
			return err
		}
		bar.Horizontal, bar.Color, bar.LineStyle.Width = true, s.color, 0
		bar.Offset = thick/2 - vg.Length(i)*thick
		c.Add(bar)
		c.Legend.Add(s.name, bar)
	}
	c.NominalY(b.names...)
	c.Y.Tick.Label.Font.Size = vg.Points(8)
	c.Y.LineStyle.Width, c.Y.Tick.Length = 0, 0
	c.Y.Min, c.Y.Max = -0.6, float64(len(b.names))+legendRows
	c.X.Max = max(c.X.Max, 1.02)
	if err := scale(c, len(b.names)); err != nil {
		return err
	}
	c.Legend.XOffs = -vg.Points(6)
	c.Legend.Top = true
	c.Legend.TextStyle.Font.Size = vg.Points(8)
	return c.Save(18*vg.Centimeter, vg.Length(len(b.names))*vg.Points(16)+3*vg.Centimeter, file)
}

// scale marks the quarters of the limit by numbers, and those up to it by lines.
func scale(c *plot.Plot, rows int) error {
	var ticks plot.ConstantTicks
	for x := 0.0; x <= c.X.Max; x += 0.25 {
		ticks = append(ticks, plot.Tick{Value: x, Label: strconv.FormatFloat(x, 'f', -1, 64)})
		if x == 0 || x > 1 {
			continue
		}
		l, err := plotter.NewLine(plotter.XYs{{X: x, Y: -0.6}, {X: x, Y: float64(rows) - 0.4}})
		if err != nil {
			return err
		}
		l.Color, l.Width = lineColor, vg.Points(0.4)
		c.Add(l)
	}
	c.X.Tick.Marker = ticks
	return nil
}
