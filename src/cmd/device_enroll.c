/* `device enroll` and `device renew`: the device's side of EST. They need no repository. Guarantees: enrolling replaces
 * no file, renewing only what was named; a renewal that is not due does and says nothing; a load keeps nothing. */
#include "base/fs.h"
#include "base/text.h"
#include "client/load.h"
#include "cmd/device.h"
#include "cmd/enrolment.h"
#include "crypto/name.h"

enum { DAY = 86400, RENEW_PERCENT = 33 };

/* --- enroll --- */

static int subject_of(struct enrolment_run *r, struct err *e)
{
	char *name[] = { arena_strdup(r->ctx->arena, r->a->device) };
	const struct subject_fields fields = { .common_name = { .v = name, .n = 1, .set = true } };

	if (r->a->subject)
		return name_parse(r->ctx->arena, r->a->subject, &r->subject, e) != 0 ? err_ctx(e, "--subject") : 0;
	if (!r->a->device)
		return err_set(e, ERR_USAGE, "name the device, or give --subject");
	return name_from_fields(r->ctx->arena, &fields, &r->subject, e);
}

static int load(struct enrolment_run *r, struct err *e)
{
	const struct client_args *a = r->a;
	struct load_order order = { .count = (size_t)a->count,
				    .connections = a->connections ? (unsigned)a->connections : 1,
				    .prefix = a->prefix ? a->prefix : "load" };
	struct load_report report;

	if (a->count < 1 || a->count > LOAD_COUNT_MAX || a->connections < 0 || a->connections > LOAD_CONNECTIONS_MAX)
		return err_set(e, ERR_USAGE, "--count is from 1 to %d, --connections to %d", LOAD_COUNT_MAX,
			       LOAD_CONNECTIONS_MAX);
	if (a->device || a->subject || a->san.n || a->out || a->key_out || a->exec || a->server_key)
		return err_set(e, ERR_USAGE,
			       "--count keeps nothing: it goes without a device, names, files, --exec and "
			       "--server-key");
	order.type = keytype_parse(a->key_type ? a->key_type : "ecdsa:256", e);
	if (!order.type)
		return err_ctx(e, "--key-type");
	if (net_need(r->ctx, e) != 0 || enrolment_target(r, e) != 0 || enrolment_connect(r, e) != 0)
		return -1;
	if (r->ctx->dry_run)
		return 0;
	if (load_run(r->ctx, r->est, &order, &report, e) != 0 || out_record(r->ctx, &load_report_type, &report, e) != 0)
		return -1;
	if (!report.failed)
		return 0;
	return err_set(e, ERR_PARTIAL, "%lld of %s did not enrol: %s", (long long)report.failed,
		       text_count(r->ctx->arena, (uint64_t)report.count, "device", NULL), report.error);
}

static int enroll(struct enrolment_run *r, struct err *e)
{
	const struct client_args *a = r->a;

	if (a->connections || a->prefix || a->reconnect)
		return err_set(e, ERR_USAGE, "--connections, --prefix and --reconnect go with --count");
	if (!a->out)
		return err_set(e, ERR_USAGE, "say with --out where the certificate goes");
	r->paths = (struct pair_paths){ .cert = a->out, .elsewhere = token_is_uri(a->key_out),
					.key = a->key_out && !token_is_uri(a->key_out) ? a->key_out : a->out };
	r->san = a->san;
	if (subject_of(r, e) != 0 || pending_load(r->ctx, &r->paths, &r->pending, e) != 0)
		return -1;
	if (!r->pending.certs.n && (fs_exists(r->paths.cert) || fs_exists(r->paths.key)))
		return err_set(e, ERR_EXISTS, "%s exists: `device renew` replaces it",
			       fs_exists(r->paths.cert) ? r->paths.cert : r->paths.key);
	return enrolment_obtain(r, e);
}

static int run_enroll(struct ctx *ctx, void *args, struct err *e)
{
	const struct client_args *a = args;
	struct enrolment_run r = { .ctx = ctx, .a = a, .op = a->server_key ? EST_KEYGEN : EST_ENROLL };
	int rc;

	ossl_start(false);
	rc = enrolment_check(a, e) != 0 ? -1 : a->count ? load(&r, e) : enroll(&r, e);
	enrolment_end(&r);
	return rc;
}

/* --- renew --- */

/* Names stay what they are, unless others are asked for. */
static int take_names(struct enrolment_run *r, const struct cert *c, struct err *e)
{
	const struct ext *san = exts_find(&c->exts, OID_SAN);

	r->subject = c->subject;
	r->san = r->a->san;
	if (r->a->subject && name_parse(r->ctx->arena, r->a->subject, &r->subject, e) != 0)
		return err_ctx(e, "--subject");
	return san && !r->san.n ? san_parse(r->ctx->arena, san->value, &r->san, e) : 0;
}

static bool is_due(const struct enrolment_run *r, const struct cert *c)
{
	int64_t percent = r->a->percent ? r->a->percent : RENEW_PERCENT;
	int64_t before = r->a->days ? r->a->days * DAY : (c->not_after - c->not_before) / 100 * percent;

	return r->a->force || r->ctx->now >= c->not_after - before;
}

static int renew(struct enrolment_run *r, struct err *e)
{
	const struct client_args *a = r->a;
	struct cert c;

	if (a->days < 0 || a->days > 36500 || a->percent < 0 || a->percent > 100 || (a->days && a->percent))
		return err_set(e, ERR_USAGE,
			       "--days is from 1 to 36500, --percent from 1 to 100, and one excludes the other");
	r->paths = (struct pair_paths){ .cert = a->cert, .key = token_is_uri(a->key) ? a->cert : enrolment_key(a),
					.elsewhere = token_is_uri(a->key) };
	if (pending_load(r->ctx, &r->paths, &r->pending, e) != 0)
		return -1;
	if (r->pending.certs.n)
		return enrolment_obtain(r, e);
	if (enrolment_read_cert(r->ctx->arena, a->cert, &c, e) != 0 || take_names(r, &c, e) != 0)
		return -1;
	r->old = c;
	return is_due(r, &c) ? enrolment_obtain(r, e) : 0;
}

static int run_renew(struct ctx *ctx, void *args, struct err *e)
{
	const struct client_args *a = args;
	struct enrolment_run r = { .ctx = ctx, .a = a, .op = EST_REENROLL };
	int rc;

	ossl_start(false);
	rc = enrolment_check(a, e) != 0 ? -1 : renew(&r, e);
	enrolment_end(&r);
	return rc;
}

#define SERVER_ROWS \
	OSTR(client_args, est, 0, "url", "The server: https://HOST:PORT, or with the whole path up to the operation.", \
	     .flags = O_REQ), \
	OSTR(client_args, label, 0, "dms", "The label in the server's path: with est-serve a device manager's id."), \
	OSTR(client_args, ca_file, 0, "file", \
	     "Authorities that the server's TLS certificate must come from, PEM. Default: the system's."), \
	OSTR(client_args, pin, 0, "sha256", \
	     "Instead of authorities, the SHA-256 fingerprint of the server's certificate."), \
	OFLAG(client_args, trust_on_first_use, 0, \
	      "When the file of --ca-file is not there yet, believe the server and store its authorities there."), \
	OSTR(client_args, user, 0, "user", \
	     "Name for HTTP Basic; its password is asked for, or comes from --passphrase-file, --passphrase-fd or " \
	     "$LAMASSU_EST_PASSWORD."), \
	OSTR(client_args, token_file, 0, "file", "A bearer token (JWT) to show."), \
	OSTR(client_args, key_type, 'k', "key-type", "Type of the new key. Default: ecdsa:256."), \
	OLIST(client_args, san, 0, "name", "Alternative name: DNS:, IP:, URI:, email: …."), \
	OFLAG(client_args, chain, 0, "Write the authorities between the certificate and its root behind it."), \
	OSTR(client_args, cacerts_out, 0, "file", "Where to write the authorities that the server distributes."), \
	OSTR(client_args, exec, 0, "program", \
	     "Run it when the files are in place, with the paths of the certificate and the key as arguments."), \
	ODUR(client_args, timeout, 0, "duration", "How long to go on trying, Retry-After included. Default: 2m.")

#define TOKEN_DOC \
	"A key in a PKCS#11 token is named by a URI of RFC 7512. module-path says which module, else those of " \
	"p11-kit are asked; pin-source names a " \
	"file with the PIN, else it comes from LAMASSU_PIN_<TOKEN'S LABEL>, LAMASSU_PIN or the terminal."

static const struct opt enroll_opts[] = {
	SERVER_ROWS,
	OSTR(client_args, cert, 0, "file",
	     "Certificate to show, and what leads to its root: a bootstrap certificate, PEM."),
	OSTR(client_args, key, 0, "file|uri",
	     "Its key, PEM without passphrase, or pkcs11:… in a token. Default: in the file of --cert."),
	OSTR(client_args, psk_file, 0, "file", "A secret that the server has too, in hexadecimal digits, for TLS-PSK: "
	     "it takes the place of --ca-file and --cert."),
	OSTR(client_args, psk_identity, 0, "text", "Whose secret it is. Default: DEVICE."),
	OSTR(client_args, subject, 0, "dn", "Subject to ask for. Default: CN=DEVICE."),
	OSTR(client_args, out, 0, "file", "Where the certificate goes."),
	OSTR(client_args, key_out, 0, "file|uri",
	     "Where the key goes (PKCS#8, mode 0600), or pkcs11:…, which key of a token it is. Default: before "
	     "the certificate, in one file."),
	OFLAG(client_args, server_key, 0, "The server makes the key (serverkeygen)."),
	OFLAG(client_args, encrypted, 0,
	      "It encrypts it to the key of --cert, RSA or EC, whose usage must allow that."),
	OINT(client_args, count, 0, "n",
	     "A load: so many devices with names and keys of their own, of which nothing is kept."),
	OINT(client_args, connections, 0, "n", "How many of them at once. Default: 1."),
	OSTR(client_args, prefix, 0, "text", "Their names are PREFIX-000001 and so on. Default: load."),
	OFLAG(client_args, reconnect, 0, "A new TLS handshake for each of them."),
	OEND
};
static const struct operand enroll_operands[] = {
	PARAM(client_args, device, "device", "The device's id.", .flags = P_OPTIONAL), { 0 }
};
const struct cmd device_enroll_cmd = {
	.name = "enroll", .brief = "Enrol this device at an EST server", .opts = enroll_opts,
	.operands = enroll_operands, .argsize = sizeof(struct client_args), .run = run_enroll,
	.type = &load_report_type,
	.doc = "Runs on the device and needs no repository. The key is made here and leaves only as a request; nothing "
	       "is written before the certificate was found to be for it and to lead to the authorities that the "
	       "server distributes. An enrolment that was cut off is in KEY.pending; the same command goes on with it, "
	       "and the server gives the same certificate.\n\n"
	       TOKEN_DOC " With --key-out pkcs11:…;object=LABEL the key of that label is taken, or made there when "
			 "--key-type is given and there is none; what is under way is in CERT.pending.\n\n"
	       "With --count it is a load for a server that is to be measured, and prints rate and latencies. A server "
	       "on another machine needs --yes.\n\n"
	       "The status is 5 when the server refuses, and 6 when it cannot be reached or puts the device off for "
	       "longer than --timeout.",
	.example = "lamassu device enroll sensor-1 --est https://pki.example:8443 --label factory --ca-file root.pem "
		   "--cert boot.pem --key boot.key --out device.pem --key-out device.key\n"
		   "lamassu device enroll --est https://localhost:8443 --ca-file root.pem --cert boot.pem --key "
		   "boot.key --count 1000 --connections 32 --reconnect"
};

static const struct opt renew_opts[] = {
	SERVER_ROWS,
	OSTR(client_args, cert, 0, "file", "The certificate to renew, PEM; it is replaced.", .flags = O_REQ),
	OSTR(client_args, key, 0, "file|uri",
	     "Its key, which is replaced too; or pkcs11:…, the token that it is in. Default: in the file of --cert."),
	OSTR(client_args, subject, 0, "dn", "Subject to ask for. Default: the certificate's."),
	OINT(client_args, days, 0, "n", "Renew when so many days are left."),
	OINT(client_args, percent, 0, "n", "Renew when so much of the lifetime is left. Default: 33."),
	OFLAG(client_args, force, 0, "Renew now."),
	OFLAG(client_args, same_key, 0, "Keep the key."),
	OFLAG(client_args, remove_old_key, 0,
	      "When the new certificate is in place, remove the old key from the token."),
	OEND
};
const struct cmd device_renew_cmd = {
	.name = "renew", .brief = "Renew this device's certificate at an EST server, when it is due",
	.opts = renew_opts, .argsize = sizeof(struct client_args), .run = run_renew, .type = &load_report_type,
	.doc = "For timers: runs on the device, needs no repository, and says and does nothing while the certificate "
	       "is good for long enough. The names stay, the key is new. The new pair takes the place of the old one "
	       "when it was found to be good: in one step where one file holds both; of two files the key is replaced "
	       "first, and a run that was cut off between them is completed by the next, as is a program of --exec "
	       "that failed.\n\n"
	       TOKEN_DOC " The certificate says which key of the token is its own, so that a label may have several. A "
			 "new key is made under the label of the URI; the old one stays, unless --remove-old-key "
			 "is given.",
	.example = "lamassu device renew --est https://pki.example:8443 --label factory --ca-file root.pem --cert "
		   "device.pem --key device.key --days 30"
};
