"""Inline SVG: attributes and classes only, so that the page's security policy needs no exception."""
