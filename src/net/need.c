/* Becoming the program that has the network. Locks and descriptors of this process end with it: all are close-on-exec. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "net/net.h"

const struct net_ops *net_here;

bool net_is_url(const char *s)
{
	return text_has_prefix(s, "http://") || text_has_prefix(s, "https://");
}

int net_need(struct ctx *ctx, struct err *e)
{
	const char *dir = getenv("LAMASSU_LIBEXECDIR");
	char *path;

	if (net_here)
		return 0;
	path = fs_join(ctx->arena, dir && *dir ? dir : PKGLIBEXECDIR, "lamassu-net");
	execv(path, ctx->argv);
	return err_sys(e, path);
}
