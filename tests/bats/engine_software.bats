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

@test "K3 K12: no passphrase is printed, stored or handed to a program; a program gives one only where this machine allows it" {
	export LAMASSU_PASSPHRASE=horse-battery-1
	new_pki --encrypted
	watch_secrets
	# shellcheck disable=SC2016 # a reference, not a value
	ok lamassu kms engine set software 'passphrase=${MY_PASSPHRASE}'
	export MY_PASSPHRASE=staple-correct-2
	unset LAMASSU_PASSPHRASE
	conformance_keys software
	ok lamassu kms engine show software
	[[ $output == *'***'* ]]
	MY_PASSPHRASE=wrong-passphrase-3 fails 5 'passphrase' lamassu ca create x --subject CN=x
	[ "$(git status --porcelain)" = '' ]
	fails 2 'reference' lamassu kms engine set software passphrase=in-clear-4
	# what a document names is not run, until somebody here says so
	ok lamassu kms engine set software "passphrase=command:sh -c 'touch ../ran; printf %s staple-correct-2'"
	fails 5 'lamassu.allowCommands' lamassu ca create x --subject CN=x
	[ ! -e ../ran ]
	git config lamassu.allowCommands true
	ok lamassu ca create x --subject CN=x --validity 1y
	[ -e ../ran ]
	git config --unset lamassu.allowCommands
	LAMASSU_ALLOW_COMMANDS=1 ok lamassu ca create y --subject CN=y --validity 1y
	secrets_kept horse-battery-1 wrong-passphrase-3 in-clear-4
	no secrets_kept 'CN=x' # what was printed is found
}
