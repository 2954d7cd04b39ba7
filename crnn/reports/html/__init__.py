"""A report as one HTML file: no network, no script needed to read it, light and dark, printable."""
