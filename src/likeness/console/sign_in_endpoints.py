"""Sign in, sign out, and the language of the pages."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from likeness.access.requires import AccessComponents
from likeness.audit.actions import ISSUED, REFUSED, Action
from likeness.audit.actor import Actor
from likeness.console.accounts.service import VISIT_SECONDS, WrongSignIn
from likeness.console.composition import ConsoleComponent
from likeness.console.forms import read_page_form
from likeness.console.rendering import FIRST_PAGE, LANGUAGE_COOKIE, LANGUAGES, PageRoute, page, see_other
from likeness.console.requires import COOKIE, ViewerVisit, refuse_other_sites
from likeness.errors import LikenessError, TooManyRequests
from likeness.web.components import components_of

router = APIRouter(prefix="/console", include_in_schema=False, route_class=PageRoute)
YEAR_SECONDS = 365 * 24 * 3600


@router.get("")
async def get_console(_visitor: ViewerVisit) -> RedirectResponse:
    """Lead to the first page."""
    return see_other(FIRST_PAGE)


@router.get("/sign-in")
async def get_sign_in(request: Request) -> HTMLResponse:
    """Give the page to sign in."""
    return page(request, "sign-in.html", next_page=_own_page(request.query_params.get("next", "")), refused=None)


@router.post("/sign-in")
async def sign_in(request: Request, console: ConsoleComponent) -> Response:
    """Begin a visit, with a record in the audit trail."""
    refuse_other_sites(request)
    form = await read_page_form(request)
    access = components_of(request.app, AccessComponents)
    following = _own_page(form.one("next"))
    stranger = Actor("unknown", request_id=request.state.request_id)
    try:
        address = str(access.proxies.caller(request).address)
        token, account = await console.visits.begin(
            form.one("name"), form.one("password"), form.one("code"), address=address
        )
    except (WrongSignIn, TooManyRequests) as error:
        access.trail.record(Action.SIGN_IN, None, outcome=REFUSED, actor=stranger)
        status = error.status if isinstance(error, LikenessError) else 401
        refused = "sign_in_wrong" if status == 401 else "sign_in_wait"
        return page(request, "sign-in.html", status=status, next_page=following, refused=refused)
    if before := request.cookies.get(COOKIE):
        await console.visits.end(before)
    who = Actor(account.id, account.tenant_id, request.state.request_id)
    access.trail.record(Action.SIGN_IN, None, outcome=ISSUED, actor=who)
    reply = see_other(following)
    _set_cookie(reply, COOKIE, token, VISIT_SECONDS)
    return reply


@router.post("/sign-out")
async def sign_out(visitor: ViewerVisit, console: ConsoleComponent) -> RedirectResponse:
    """End the visit."""
    await console.visits.end(visitor.token)
    reply = see_other("/console/sign-in")
    reply.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    reply.headers["Clear-Site-Data"] = '"cache"'  # also the pages that the way back of the browser would show
    return reply


@router.post("/language")
async def choose_language(request: Request) -> RedirectResponse:
    """Keep the language of the pages in a cookie."""
    refuse_other_sites(request)
    form = await read_page_form(request)
    reply = see_other(_own_page(form.one("next")))
    if form.one("language") in LANGUAGES:
        _set_cookie(reply, LANGUAGE_COOKIE, form.one("language"), YEAR_SECONDS)
    return reply


def _set_cookie(reply: Response, name: str, value: str, seconds: float) -> None:
    """Set a cookie that no script, no other host and no page of another site gets."""
    reply.set_cookie(name, value, max_age=int(seconds), path="/", secure=True, httponly=True, samesite="strict")


def _own_page(path: str) -> str:
    """Give a path of the console, or the first page for anything else, which could lead to another site."""
    return path if path.startswith("/console/") and path.isprintable() and "\\" not in path else FIRST_PAGE
