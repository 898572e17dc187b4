/* `va-serve`: options into what the listener needs, and its summary. */
#include "cmd/va.h"

#include "cmd/listen.h"
#include "cmd/open.h"
#include "va/service.h"

enum { VALIDITY = 3600, VALIDITY_MAX = 30 * 86400 };

struct va_args {
	struct strv ca, listen;
	const char *tls_cert, *tls_key, *ready_file, *stop_file, *access_log, *user, *min_tls;
	int64_t max_requests, workers, threads, address_connections, address_handshakes;
	struct dur timeout, idle_timeout, ocsp_validity;
	bool no_delegate, no_crl, plain;
};

static int read_tls(struct ctx *ctx, const struct va_args *a, struct listen_options *o, struct err *e)
{
	if (!a->tls_cert != !a->tls_key)
		return err_set(e, ERR_USAGE, "--tls-cert and --tls-key go together");
	if (!a->tls_cert)
		return 0;
	if (a->plain)
		return err_set(e, ERR_USAGE, "--plain excludes --tls-cert");
	return listen_read_tls(ctx, a->tls_cert, a->tls_key, o, e);
}

/* What it answers is public and signed, so clients are asked for a certificate only where the operator says whose. */
static int judge_clients(struct ctx *ctx, const struct va_args *a, const struct config *c, struct listen_options *o,
			 struct err *e)
{
	o->plain = !o->tls_cert.n;
	o->ask_client = o->check_client;
	if (o->plain && o->require_client && !a->plain)
		return err_set(e, ERR_INVALID, "lamassu.yaml: http.client_auth.required: needs TLS; give http.tls or "
			       "--tls-cert, or --plain to serve everybody");
	if (!o->plain && o->require_client && !o->client_cas.n)
		return err_set(e, ERR_INVALID, "lamassu.yaml: http.client_auth.required: needs ca_file, which says "
			       "whose certificates are accepted");
	if (!o->plain && !a->tls_cert && c->va_domains.n)
		ctx_warn(ctx, "HTTPS only, as http.tls of lamassu.yaml says: relying parties look for plain HTTP at "
			 "%s; --plain serves it", c->va_domains.v[0]);
	return 0;
}

static int run_serve(struct ctx *ctx, void *args, struct err *e)
{
	struct va_args *a = args;
	const struct listen_flags flags = { .min_tls = a->min_tls, .no_file = a->plain, .port = 8080 };
	struct va_options va = { .cas = a->ca, .validity = a->ocsp_validity.text ? a->ocsp_validity.secs : VALIDITY,
				 .no_delegate = a->no_delegate, .no_crl = a->no_crl };
	struct listen_options o = { .options = &va, .listen = a->listen, .workers = a->workers, .threads = a->threads,
				    .per_address = a->address_connections, .handshake_rate = a->address_handshakes,
				    .target = a->max_requests, .timeout = a->timeout, .idle = a->idle_timeout,
				    .ready_file = a->ready_file, .stop_file = a->stop_file, .access_log = a->access_log,
				    .user = a->user, .commits = "va: CRL" };
	struct config config;
	const char *top;
	struct summary s;
	char *dir;

	if (va.validity < 60 || va.validity > VALIDITY_MAX)
		return err_set(e, ERR_USAGE, "--ocsp-validity must be between 1m and 30d");
	if (cmd_find_repo(ctx, cli_globals(ctx), &dir, e) != 0 || read_tls(ctx, a, &o, e) != 0 ||
	    listen_need(ctx, e) != 0 ||
	    listen_here->config(ctx, dir, a->user, &config, &top, e) != 0 ||
	    listen_settings(ctx, &flags, &config, top, &o, e) != 0 ||
	    judge_clients(ctx, a, &config, &o, e) != 0)
		return -1;
	o.service = listen_here->va;
	o.dir = dir;
	o.say = cli_globals(ctx)->quiet ? NULL : listen_say;
	o.lock_timeout_ms = cmd_lock_timeout_ms(cli_globals(ctx));
	return listen_here->run(ctx, &o, &s, e) != 0 ? -1 : listen_end(ctx, &answering_summary, &s, e);
}

static const struct opt serve_opts[] = {
	OLIST(va_args, ca, 0, "ca", "An authority to answer for. Default: all."),
	OLIST(va_args, listen, 0, "address:port",
	      "Where to listen; port 0 is any. Default: 127.0.0.1, at http.port of lamassu.yaml or 8080."),
	ODUR(va_args, ocsp_validity, 0, "duration", "For how long an OCSP answer holds. Default: 1h."),
	OFLAG(va_args, no_delegate, 0, "Sign OCSP answers with the authorities' own keys."),
	OFLAG(va_args, no_crl, 0, "Make no CRLs: serve those that there are."),
	OSTR(va_args, tls_cert, 0, "file", "Serve HTTPS with this certificate. Default: http.tls of lamassu.yaml, else "
	     "HTTP, as relying parties expect (RFC 5280 8)."),
	OSTR(va_args, tls_key, 0, "file|key", "Its key: a file in PEM without passphrase, or a key of the repository "
	     "by name, id or URI, in whatever engine."),
	OSTR(va_args, min_tls, 0, "version",
	     "TLS12 or TLS13. Default: http.tls.min_version of lamassu.yaml, else TLS12."),
	OFLAG(va_args, plain, 0, "Serve HTTP without TLS, whatever lamassu.yaml says."),
	OINT(va_args, max_requests, 0, "n", "End when so many requests have been answered."),
	ODUR(va_args, timeout, 0, "duration", "End after this time."),
	ODUR(va_args, idle_timeout, 0, "duration", "End when nobody has asked for anything for so long."),
	OSTR(va_args, stop_file, 0, "file", "End when this file appears, as by SIGTERM."),
	OINT(va_args, workers, 0, "n", "Processes; 0 is one per core."),
	OINT(va_args, threads, 0, "n", "Requests at once in each of them; 0 is 8."),
	OINT(va_args, address_connections, 0, "n",
	     "Connections of one address in each process. Default: 2048. -1 is any number."),
	OINT(va_args, address_handshakes, 0, "n",
	     "New TLS sessions of one address a second in each process. Default: 1000. -1 is any number."),
	OSTR(va_args, ready_file, 0, "file", "Written with the bound addresses, one a line, when it accepts."),
	OSTR(va_args, access_log, 0, "file", "A line of JSON for each request; - is standard output."),
	OSTR(va_args, user, 0, "user", "Become this user when the addresses are bound."),
	OEND
};

const struct cmd va_serve_cmd = {
	.name = "va-serve", .brief = "Answer for certificates: OCSP and CRLs over HTTP", .opts = serve_opts,
	.argsize = sizeof(struct va_args),
	.run = run_serve, .type = &answering_summary,
	.doc = "A validation authority at the addresses that va_domains puts into certificates: OCSP at /ocsp (POST "
	       "and GET), CRLs at /crl/SKI.crl (SKI.delta.crl, SKI.N.crl for partitions), certificates of authorities "
	       "at /ca/SKI.cer. Revocations by other commands are seen at once: answers without a nonce are kept in "
	       "memory, for half of their life at most, and given again while the repository is where it was, which is "
	       "looked at every 10 milliseconds.\n\n"
	       "When it starts, each authority whose key is here issues a responder certificate for a key that only "
	       "this listener has, and a new one before that ends. CRLs that are due are made and recorded.",
	.example = "lamassu va-serve --listen 0.0.0.0:8080"
};
