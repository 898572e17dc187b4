/* `est-serve`: options into what the listener needs, and its summary. The listener itself is in lamassu-net. */
#include "cmd/est.h"

#include <string.h>

#include "base/text.h"
#include "cmd/listen.h"
#include "cmd/open.h"
#include "est/service.h"

struct serve_args {
	struct strv dms, listen, trusted_proxy;
	const char *tls_cert, *tls_key, *tls_ca, *tls_name, *ready_file, *stop_file, *access_log, *user, *min_tls;
	int64_t max_enrollments, workers, threads, address_connections, address_handshakes;
	struct dur timeout, idle_timeout;
	bool allow_no_auth, allow_unverified_csr, require_channel_binding;
};

static int read_tls(struct ctx *ctx, const struct serve_args *a, struct listen_options *o, struct err *e)
{
	if (!a->tls_cert != !a->tls_key)
		return err_set(e, ERR_USAGE, "--tls-cert and --tls-key go together");
	if (!a->tls_cert)
		return 0;
	if (a->tls_ca || a->tls_name)
		return err_set(e, ERR_USAGE, "--tls-cert excludes --tls-ca and --tls-name");
	return listen_read_tls(ctx, a->tls_cert, a->tls_key, o, e);
}

static char *host_of(struct arena *a, const char *listen)
{
	const char *colon = strrchr(listen, ':');
	size_t n = colon ? (size_t)(colon - listen) : strlen(listen);

	return n >= 2 && listen[0] == '[' ? arena_strndup(a, listen + 1, n - 2) : arena_strndup(a, listen, n);
}

static int run_serve(struct ctx *ctx, void *args, struct err *e)
{
	struct serve_args *a = args;
	const struct listen_flags flags = { .min_tls = a->min_tls, .no_file = a->tls_ca || a->tls_name, .port = 8443 };
	struct est_options est = { .dms = a->dms, .allow_no_auth = a->allow_no_auth,
				   .allow_unverified_csr = a->allow_unverified_csr, .trusted_proxies = a->trusted_proxy,
				   .tls_ca = a->tls_ca, .tls_name = a->tls_name,
				   .require_binding = a->require_channel_binding };
	struct listen_options o = { .options = &est, .listen = a->listen, .workers = a->workers, .threads = a->threads,
				    .per_address = a->address_connections, .handshake_rate = a->address_handshakes,
				    .exempt = a->trusted_proxy, .target = a->max_enrollments, .timeout = a->timeout,
				    .idle = a->idle_timeout, .ready_file = a->ready_file, .stop_file = a->stop_file,
				    .access_log = a->access_log, .user = a->user, .commits = "est: enrol" };
	struct config config;
	const char *top;
	struct summary s;
	char *dir;

	if (a->max_enrollments < 0)
		return err_set(e, ERR_USAGE, "--max-enrollments must not be negative");
	if (cmd_find_repo(ctx, cli_globals(ctx), &dir, e) != 0 || read_tls(ctx, a, &o, e) != 0 ||
	    listen_need(ctx, e) != 0 ||
	    listen_here->config(ctx, dir, a->user, &config, &top, e) != 0 ||
	    listen_settings(ctx, &flags, &config, top, &o, e) != 0)
		return -1;
	o.service = listen_here->est;
	o.dir = dir;
	o.say = cli_globals(ctx)->quiet ? NULL : listen_say;
	o.lock_timeout_ms = cmd_lock_timeout_ms(cli_globals(ctx));
	est.own_tls = !o.tls_cert.n;
	est.no_client_certs = !o.ask_client;
	est.need_client_certs = o.require_client;
	est.listen_host = host_of(ctx->arena, o.listen.v[0]);
	return listen_here->run(ctx, &o, &s, e) != 0 ? -1 : listen_end(ctx, &enrolling_summary, &s, e);
}

static const struct opt serve_opts[] = {
	OLIST(serve_args, dms, 0, "dms", "A device manager to serve. Default: all."),
	OLIST(serve_args, listen, 0, "address:port",
	      "Where to listen; port 0 is any. Default: 127.0.0.1, at http.port of lamassu.yaml or 8443."),
	OSTR(serve_args, tls_cert, 0, "file", "The listener's TLS certificate and what leads to its root, in PEM. "
	     "Default: http.tls of lamassu.yaml, else one is issued."),
	OSTR(serve_args, tls_key, 0, "file|key", "Its key: a file in PEM without passphrase, or a key of the "
	     "repository by name, id or URI, in whatever engine."),
	OSTR(serve_args, tls_ca, 0, "ca",
	     "The authority that issues the listener's certificate. Default: the first manager's."),
	OSTR(serve_args, tls_name, 0, "name", "The first name in that certificate. Default: the host's."),
	OSTR(serve_args, min_tls, 0, "version",
	     "TLS12 or TLS13. Default: http.tls.min_version of lamassu.yaml, else TLS12, which most EST clients need."),
	OINT(serve_args, max_enrollments, 0, "n", "End when so many certificates have been issued."),
	ODUR(serve_args, timeout, 0, "duration", "End after this time."),
	ODUR(serve_args, idle_timeout, 0, "duration", "End when nobody has asked for anything for so long."),
	OSTR(serve_args, stop_file, 0, "file", "End when this file appears, as by SIGTERM."),
	OINT(serve_args, workers, 0, "n", "Processes; 0 is one per core."),
	OINT(serve_args, threads, 0, "n", "Requests at once in each of them; 0 is 16."),
	OINT(serve_args, address_connections, 0, "n",
	     "Connections of one address in each process. Default: 2048. -1 is any number."),
	OINT(serve_args, address_handshakes, 0, "n",
	     "New TLS sessions of one address a second in each process. Default: 1000. -1 is any number."),
	OSTR(serve_args, ready_file, 0, "file", "Written with the bound addresses, one a line, when it accepts."),
	OSTR(serve_args, access_log, 0, "file", "A line of JSON for each request; - is standard output."),
	OSTR(serve_args, user, 0, "user", "Become this user when the addresses are bound."),
	OFLAG(serve_args, allow_no_auth, 0, "Serve managers that accept everybody."),
	OFLAG(serve_args, allow_unverified_csr, 0, "Serve managers that do not verify the signature of requests."),
	OFLAG(serve_args, require_channel_binding, 0,
	      "Refuse requests that are not linked to their TLS connection (RFC 7030 3.5)."),
	OLIST(serve_args, trusted_proxy, 0, "cidr", "A proxy whose header with the client's certificate is believed."),
	OEND
};

const struct cmd est_serve_cmd = {
	.name = "est-serve", .brief = "Enrol devices over EST, for as long as a shift lasts", .opts = serve_opts,
	.argsize = sizeof(struct serve_args), .run = run_serve, .type = &enrolling_summary,
	.doc = "Serves EST (RFC 7030) at /.well-known/est/DMS/: cacerts, csrattrs, simpleenroll, simplereenroll, and "
	       "serverkeygen where a manager enables it. A certificate leaves only after the commit that "
	       "records it.\n\n"
	       "It ends when --max-enrollments is reached, when the time is up, by --stop-file, SIGTERM or SIGINT, "
	       "finishes what is under way, and prints a summary. The status is 0 when the target was reached, or on "
	       "any clean end without a target, and 1 when the time was up first. Away from a terminal SIGHUP reads "
	       "the files of --tls-cert and --tls-key anew, opens the access log anew and replaces one worker after "
	       "another. Sockets of systemd (LISTEN_FDS) are used where there are any, and NOTIFY_SOCKET is told.",
	.example = "lamassu est-serve --dms factory --listen 0.0.0.0:8443 --max-enrollments 500 --timeout 8h"
};
