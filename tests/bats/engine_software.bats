#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# The list that every engine has to pass, on the software engine.
load helpers
load ca_helpers
load engine_helpers

@test "K1 K4 K5 K6 K7 K8 K9 C1 C2 C7 C8 C12 C13: everything works with keys in the software engine" {
	new_pki
	conformance software
}
