/* cacerts and csrattrs (RFC 7030 4.1, 4.5): they need no credential, and whatever one the client sends opens nothing;
 * it is taken note of. */
#include "est/service.h"
#include "est/wire.h"

void est_get_cacerts(struct est_call *c)
{
	est_first_use(c);
	wire_answer(c->in, c->out, "application/pkcs7-mime", c->served->cacerts);
}

void est_get_csrattrs(struct est_call *c)
{
	est_first_use(c);
	if (c->served->csrattrs.n)
		wire_answer(c->in, c->out, "application/csrattrs", c->served->csrattrs);
	else
		c->out->status = 204;
}
