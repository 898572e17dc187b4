/* Becoming the program that has the network, and what needs no library of it. Locks and descriptors of this process end
 * with it: all are close-on-exec. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "net/net.h"

const struct net_ops *net_here;

bool net_is_url(const char *s)
{
	return text_has_prefix(s, "http://") || text_has_prefix(s, "https://");
}

const char *net_header(const struct net_answer *a, const char *name)
{
	for (size_t i = 0; i < a->nheaders; i++)
		if (strcasecmp(a->headers[i].name, name) == 0)
			return a->headers[i].value;
	return NULL;
}

int net_need(struct ctx *ctx, struct err *e)
{
	const char *dir = getenv("LAMASSU_LIBEXECDIR");
	char *path;

	if (net_here)
		return 0;
	if (fs_inputs_again(e) != 0)
		return -1;
	path = fs_join(ctx->arena, dir && *dir ? dir : PKGLIBEXECDIR, "lamassu-net");
	execv(path, ctx->argv);
	return err_sys(e, path);
}

const char *net_host(const char *url)
{
	const char *host = strstr(url, "://") ? strstr(url, "://") + 3 : url, *from = host;
	size_t n = strcspn(host, "/?#\\");

	for (const char *p = host; p < host + n; p++)
		if (*p == '@')
			from = p + 1;
	return from;
}

/* With its path, which says what went wrong, but without what may be secret: user, password, query. */
static char *shown(struct arena *a, const char *url)
{
	const char *host = net_host(url);

	return arena_printf(a, "%.*s%.*s", (int)strcspn(url, "/") + 2, url, (int)strcspn(host, "?#"), host);
}

int net_put(struct ctx *ctx, const char *url, const char *content_type, struct bytes body, struct err *e)
{
	const struct net_header type = { "Content-Type", content_type };
	const struct net_request request = { .method = "PUT", .url = url, .headers = &type, .nheaders = 1,
					     .body = body };
	const struct net_options options = { 0 };
	struct net_client *client;
	struct net_answer answer;
	enum net_fault fault;
	int rc;

	if (net_here->open(ctx, &options, &client, e) != 0)
		return -1;
	rc = net_here->send(client, ctx->arena, &request, &answer, &fault, e);
	net_here->close(client);
	if (rc != 0) { /* "scheme://host: why", but here the whole address says what went wrong */
		const char *why = strstr(e->msg, ": ");

		return err_set(e, e->code, "%s: %s", shown(ctx->arena, url), why ? why + 2 : e->msg);
	}
	if (answer.status < 200 || answer.status > 299)
		return err_set(e, ERR_REMOTE, "%s: the server answered %d", shown(ctx->arena, url), answer.status);
	return 0;
}
