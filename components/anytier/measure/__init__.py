"""Measuring a stack's place: times, what the platform itself takes, requests per second; the record that is kept."""
