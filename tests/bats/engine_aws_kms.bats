#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # output, stderr: set by ok and fails of helpers.bash
# AWS KMS, against ministack (right signatures and imports) and moto (which checks how requests are signed).
load helpers
load ca_helpers
load engine_helpers
load aws_helpers

setup_file() {
	ministack_start "$BATS_FILE_TMPDIR/ministack"
	export MINISTACK_URL MINISTACK_PID
}

teardown_file() { server_stop "$MINISTACK_PID"; }

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
	aws_nothing
	aws_keys
}

@test "C1 C2 C8 C12 C13 K1 K4 K5 K6 K7 K8 K9 K12: what every engine must do, in AWS KMS" {
	new_pki
	aws_kms aws "$MINISTACK_URL"
	conformance aws
}
