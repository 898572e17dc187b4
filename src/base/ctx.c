/* Warnings and notes on their way to the user. They may quote hostile text, so they are made safe for a terminal here. */
#include "base/ctx.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

const char *ctx_actor(const struct ctx *ctx)
{
	return ctx->actor ? ctx->actor : getenv("LAMASSU_OPERATOR");
}

void ctx_warn(struct ctx *ctx, const char *fmt, ...)
{
	char raw[1024], safe[1024];
	va_list ap;

	if (!ctx->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_escape_into(safe, sizeof(safe), bytes_of(raw));
	ctx->warn(ctx->warn_arg, safe);
}
