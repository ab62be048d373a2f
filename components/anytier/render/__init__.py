"""Pure rendering: a spec to what a runtime runs, to what a proxy does, to units and container bodies. No I/O."""
