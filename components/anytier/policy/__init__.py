"""The security baseline as rules: data and small pure predicates over registered resources, with waivers that end."""
