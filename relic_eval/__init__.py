"""Which representation is better, and why?"""
