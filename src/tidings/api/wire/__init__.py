"""What goes over the wire: bodies, queries and answers as types, and how our values become them.

The types are all there is: they decode and check what comes in, encode what goes out, and the
OpenAPI document is generated from them. Public JSON is camelCase, which is spelled nowhere but in
the bases of these types.
"""
