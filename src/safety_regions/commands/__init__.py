"""The commands of `safety-regions`, one thin module each."""
