"""Who is asking, and what they may do."""

from arqueduct.errors.base import InvalidRequest, RequestError

__all__ = [
    "AccessTokenExpired",
    "AlreadyMember",
    "Forbidden",
    "InvitationNeeded",
    "InvitationNotOpen",
    "LastOwner",
    "NoSession",
    "NotAuthenticated",
    "NotThisMember",
    "OriginNotAllowed",
    "RefreshTokenReused",
    "ResetUnknown",
    "SessionOver",
    "SeveralInvitations",
    "SignInRefused",
    "WeakPassword",
    "WrongCredentials",
    "WrongPassword",
]


class NotAuthenticated(RequestError):
    """No valid API key or access token came with this request."""

    status = 401
    advice = "Send `Authorization: Bearer <API key or access token>` or `X-API-Key: <API key>`."


class WrongCredentials(NotAuthenticated):
    """The address or the password is wrong."""

    advice = "Check both. An administrator can hand out a token to choose a new password."


class AccessTokenExpired(NotAuthenticated):
    """This access token is over."""

    advice = "Renew it with the refresh token at `POST /api/v1/auth/refresh`."


class SessionOver(NotAuthenticated):
    """This session has ended, or its refresh token is unknown."""

    advice = "Sign in again."


class RefreshTokenReused(NotAuthenticated):
    """This refresh token was used before, so its session was ended."""

    advice = "Sign in again. If no client of yours sent it twice, somebody has stolen it: end your other sessions too."


class ResetUnknown(NotAuthenticated):
    """This token to choose a new password is unknown, used or too old."""

    advice = "Ask an administrator of the tenant for a new one."


class SignInRefused(NotAuthenticated):
    """What the OpenID provider said does not prove who this is."""

    advice = "Begin anew at `GET /api/v1/auth/oidc/start`; if it happens again, the log says why."


class Forbidden(RequestError):
    """This identity may not do that."""

    status = 403
    advice = "Ask an administrator of the tenant for the role."


class WrongPassword(Forbidden):
    """The old password is wrong."""

    advice = "Check it, or ask an administrator for a token to choose a new one."


class InvitationNeeded(Forbidden):
    """The OpenID provider knows this person, but no account here belongs to it."""

    advice = "Ask an administrator of a tenant to invite the address that the provider has verified, then begin anew."


class SeveralInvitations(RequestError):
    """Several tenants have invited the address of this person."""

    status = 409
    advice = "Ask who invited you for the id of the tenant, then begin anew and finish with it as `tenant_id`."


class OriginNotAllowed(RequestError):
    """Pages of this origin may not send this request."""

    status = 403
    advice = "Add the origin of the page to ARQUEDUCT_ALLOWED_ORIGINS; see docs/api.md for methods and headers."


class NoSession(RequestError):
    """This request came with an API key, which has no session."""

    status = 409
    advice = "Sign in: sessions and the password are a person's, and a key is of one tenant. A key itself is revoked."


class AlreadyMember(RequestError):
    """Somebody with this address is a member of the tenant already."""

    status = 409
    advice = "Change the member's role instead; `GET /api/v1/members` lists them."


class InvitationNotOpen(RequestError):
    """This invitation is unknown, accepted, revoked or too old."""

    status = 404
    advice = "Ask who invited you for a new invitation."


class LastOwner(RequestError):
    """A tenant keeps at least one owner who may sign in."""

    status = 409
    advice = "Make somebody else an owner first."


class NotThisMember(RequestError):
    """This cannot be done to this member."""

    status = 409
    advice = "See docs/access.md; who runs the installation can do more with `arqueduct users`."


class WeakPassword(InvalidRequest):
    """This password is too easy to guess."""

    advice = "Choose 12 to 256 characters that no list has; several words that do not belong together are good."
