"""Pages to print: control cards, test labels, a chart to focus on."""
