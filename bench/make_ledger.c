/* make_ledger DIR N [CA]: adds N certificates to a repository, through the program's own state code; makes the
 * repository when there is none. Each tenth is revoked. For benchmarks: the certificates can be read, but one signature
 * was copied into all. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/tm.h"
#include "crypto/cert.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/name.h"
#include "state/ledger.h"

enum { CHUNK = 10000, DAY = 86400 };

/* One signed certificate; what differs is written over it. */
struct template {
	struct bytes der;
	unsigned char *serial, *number[2]; /* in der: subject and SAN */
};

static const char marker[] = "000000000000";

static EVP_PKEY *make_key(struct err *e)
{
	const struct keytype *type = keytype_parse("ecdsa:256", e);
	EVP_PKEY *key = NULL;

	return type && key_generate(type, &key, e) == 0 ? key : NULL;
}

static int make_template(struct arena *a, struct template *ret, struct err *e)
{
	char *names[] = { arena_printf(a, "DNS:device-%s.example.com", marker) };
	struct strv san = { names, 1, true };
	struct tbs t = { .not_before = tm_now(), .not_after = tm_now() + 365 * DAY };
	struct template r;
	struct bytes value;
	EVP_PKEY *key = make_key(e);
	const unsigned char *at;

	if (!key || key_spki(a, key, &t.spki, e) != 0 ||
	    name_parse(a, "CN=Benchmark CA,O=Acme Corp", &t.issuer, e) != 0 ||
	    name_parse(a, arena_printf(a, "CN=device-%s,O=Acme Corp,C=US", marker), &t.subject, e) != 0 ||
	    san_build(a, &san, &value, e) != 0)
		return -1;
	cert_random_serial(&t);
	ext_key_usage(a, &t.exts, 1);
	ext_ski(a, &t.exts, cert_key_id(a, t.spki));
	ext_aki(a, &t.exts, cert_key_id(a, t.spki));
	exts_add(a, &t.exts, OID_SAN, false, value);
	if (cert_sign(a, &t, key, sigalg_default(key), &r.der, e) != 0)
		return -1;
	EVP_PKEY_free(key);
	r.serial = memmem(r.der.p, r.der.n, t.serial, t.serial_n);
	at = r.der.p;
	for (size_t i = 0; i < 2; i++) {
		r.number[i] = memmem(at, r.der.n - (size_t)(at - r.der.p), marker, sizeof(marker) - 1);
		at = r.number[i] + 1;
	}
	*ret = r;
	return 0;
}

static int add_one(struct arena *a, struct state *st, struct template *t, const char *ca, long i, struct err *e)
{
	static const char *const profiles[] = { "iot-device", "tls-server", "tls-client" };
	int64_t now = tm_now();
	char *number = arena_printf(a, "%012ld", i);
	struct certrec r = { .ca = arena_strdup(a, ca), .type = arena_strdup(a, "ISSUED"), .partition = -1,
			     .key_type = arena_strdup(a, "ecdsa:256"),
			     .not_before = now, .not_after = now + (i % 700 - 30) * DAY,
			     .issued_at = now - 365 * DAY + i };
	char *san[] = { arena_printf(a, "DNS:device-%s.example.com", number) };
	struct tbs fresh;

	cert_random_serial(&fresh);
	memcpy(t->serial, fresh.serial, 16);
	memcpy(t->number[0], number, 12);
	memcpy(t->number[1], number, 12);
	r.serial_number = hex_encode(a, (struct bytes){ t->serial, 16 });
	r.fingerprint = sha256_hex(a, t->der);
	r.key_id = sha256_hex(a, bytes_of(number));
	r.request_sha256 = sha256_hex(a, bytes_of(r.serial_number));
	r.profile = arena_strdup(a, profiles[i % 3]);
	r.common_name = arena_printf(a, "device-%s", number);
	r.subject = arena_printf(a, "CN=device-%s,O=Acme Corp,C=US", number);
	r.san = (struct strv){ san, 1, true };
	if (ledger_add_cert(st, &r, cert_pem(a, t->der), e) != 0)
		return -1;
	if (i % 10 == 9) {
		struct revocation v = { .serial_number = r.serial_number, .ca = r.ca,
					.reason = arena_strdup(a, "superseded"), .time = now,
					.recorded = now, .not_after = r.not_after };

		return ledger_add_revocation(st, &v, e);
	}
	return 0;
}

static int no_files(void *arg, struct state *st, struct err *e)
{
	(void)arg;
	(void)st;
	(void)e;
	return 0;
}

static void warn(void *arg, const char *msg)
{
	(void)arg;
	fprintf(stderr, "make_ledger: %s\n", msg);
}

static int work(const char *dir, long n, const char *ca, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	struct state_env env = { .actor = "Benchmark <bench@example.com>", .now = tm_now(), .op = "bench.make",
				 .warn = warn };
	struct state_init_opts opts = { .name = "bench" };
	struct template t;
	int64_t start = tm_mono_ms();

	if (make_template(a, &t, e) != 0)
		return -1;
	if (!fs_exists(fs_join(a, dir, "lamassu.yaml")) && state_init(a, dir, &opts, &env, no_files, NULL, e) != 0)
		return -1;
	for (long done = 0; done < n;) {
		SCOPED_ARENA *chunk = arena_new();
		struct state *st;
		int r = 0;

		if (state_open(chunk, dir, STATE_WRITE, &env, &st, e) != 0)
			return -1;
		for (long i = 0; i < CHUNK && done < n && r == 0; i++, done++)
			r = add_one(chunk, st, &t, ca, done, e);
		if (r == 0)
			r = state_commit(st, "bench: make certificates", e);
		state_close(st);
		if (r != 0)
			return -1;
	}
	fprintf(stderr, "%ld certificates in %.1f s\n", n, (double)(tm_mono_ms() - start) / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };

	if (argc < 3) {
		fprintf(stderr, "usage: make_ledger DIR N [CA]\n");
		return 2;
	}
	if (work(argv[1], strtol(argv[2], NULL, 10), argc > 3 ? argv[3] : "devices", &e) == 0)
		return 0;
	fprintf(stderr, "make_ledger: %s\n", e.msg);
	return 1;
}
