"""The documents of weddings inside a host: their rows, rules and findings, beside the bytes of `hosts.document`."""
