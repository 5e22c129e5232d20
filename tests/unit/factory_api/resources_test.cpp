#include <catch2/catch.hpp>

#include "factory/resources/kinds.h"
#include "factory/resources/resource.h"
#include "factory/resources/vault.h"
#include "platform/base/ids.h"
#include "platform/base/text.h"

using namespace mill;
using namespace mill::factory;
using Catch::Contains;

namespace {

Json json(std::string_view text)
{
    auto parsed = parse_json(text);
    REQUIRE(parsed);
    return *parsed;
}

std::string why_not(std::string_view text)
{
    const auto document = parse_document(json(text));
    REQUIRE_FALSE(document);
    CHECK(document.error().code == Errc::invalid);
    return document.error().what;
}

workflows::Manifest manifest()
{
    workflows::Manifest out;
    out.name = "order-status";
    out.version = "1.2.0";
    out.workflows = {{"main", "main.yaml"}};
    out.variables["region"] = {.type = "string", .fallback = {}, .required = true, .description = ""};
    out.variables["count"] = {.type = "integer", .fallback = Json(3), .required = false, .description = ""};
    out.credentials = {{"erp-login", "login"}};
    out.permissions.network = {"https://tickets.example.com"};
    out.asked = json(R"({"network":["https://tickets.example.com"]})");
    return out;
}

References everything()
{
    References out;
    out.spec = [](ResourceKind kind, std::string_view name) -> Json {
        if (kind == ResourceKind::environment && name == "it") return json(R"({"kind":"Environment","name":"it"})");
        if (kind == ResourceKind::deployment && name == "orders") return json(R"({"kind":"Deployment","name":"orders","package":"order-status@1.2.0"})");
        if (kind == ResourceKind::trigger && name == "orders-api") return json(R"({"kind":"Trigger","name":"orders-api"})");
        return {};
    };
    out.has = [spec = out.spec](ResourceKind kind, std::string_view name) { return !spec(kind, name).is_null(); };
    out.manifest = [](std::string_view package, std::string_view version) -> std::optional<workflows::Manifest> {
        if (package == "order-status" && version == "1.2.0") return manifest();
        return std::nullopt;
    };
    out.versions = [](std::string_view package) { return package == "order-status" ? std::vector<std::string>{"1.2.0"} : std::vector<std::string>{}; };
    out.credential_kind = [](std::string_view name) -> std::optional<std::string> {
        if (name == "erp-prod") return "login";
        if (name == "bot") return "sap-cai";
        if (name == "signing") return "hmac";
        if (name == "key") return "header";
        return std::nullopt;
    };
    return out;
}

tl::expected<void, Refusal> checked(std::string_view text, const Json& before = {}, bool accept = false, ResourceDocument* settled = nullptr)
{
    auto document = parse_document(json(text));
    REQUIRE(document);
    auto outcome = check_references(*document, everything(), before, accept);
    if (settled != nullptr) *settled = *document;
    return outcome;
}

constexpr std::string_view kDeployment =
    R"({"kind":"Deployment","name":"orders","package":"order-status@1.2.0","environment":"it","variables":{"region":"eu"},"credentials":{"erp-login":"erp-prod"}})";

}  // namespace

TEST_CASE("a document says all of its mistakes at once", "[factory][resources]")
{
    const auto what = why_not(R"({"kind":"Trigger","name":"t","typ":"api","priority":"urgent","expiration":"soon","runOn":"mars"})");
    CHECK_THAT(what, Contains("Trigger 't'") && Contains("'typ' is not known here") && Contains("'priority'") && Contains("'expiration'") && Contains("'runOn'") &&
                         Contains("'deployment' is missing"));
}

TEST_CASE("kind and name must agree with the address", "[factory][resources]")
{
    const Json environment = json(R"({"kind":"Environment","name":"it"})");
    CHECK(parse_document(environment, ResourceKind::environment, "it"));
    CHECK_THAT(parse_document(environment, ResourceKind::trigger, "it").error().what, Contains("the address says triggers"));
    CHECK_THAT(parse_document(environment, ResourceKind::environment, "other").error().what, Contains("the address says 'other'"));
    CHECK_THAT(why_not(R"({"kind":"Trigger","name":"Not A Name","deployment":"d"})"), Contains("lower-case"));
    CHECK_THAT(why_not(R"({"name":"x"})"), Contains("'kind' is missing"));
    CHECK_THAT(why_not(R"({"kind":"environments","name":"x"})"), Contains("'kind' must be one of"));
}

TEST_CASE("the normal form has every default, and reads back as itself", "[factory][resources]")
{
    const auto trigger = parse_document(json(R"({"kind":"Trigger","name":"t","deployment":"d","priority":"high","status":{"uid":"x"}})"));
    REQUIRE(trigger);
    CHECK(trigger->spec == json(R"({"kind":"Trigger","name":"t","deployment":"d","type":"api","runOn":"unattended","workflow":"main","input":{},"priority":70,
                                    "expiration":"1h","concurrency":0,"stopAfterFailures":0})"));
    CHECK(parse_document(trigger->spec)->spec == trigger->spec);
    const auto environment = parse_document(json(R"({"kind":"Environment","name":"all"})"));
    REQUIRE(environment);
    CHECK(environment->spec["agents"] == json("[]"));   // those enrolled in it
    CHECK(environment->spec["offlineLimit"] == Json("15m"));
}

TEST_CASE("an environment names a user of the machines, never root", "[factory][resources]")
{
    CHECK(parse_document(json(R"({"kind":"Environment","name":"it","runAs":"mw-it_2"})"))->spec["runAs"] == Json("mw-it_2"));
    for (const char* user : {"root", "Sales", "a b", "2x", "-x", "x;y", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
        INFO(user);
        CHECK_THAT(why_not(std::string(R"({"kind":"Environment","name":"it","runAs":")") + user + "\"}"), Contains("'runAs'") || Contains("runAs"));
    }
}

TEST_CASE("what does not exist yet is refused by name", "[factory][resources]")
{
    CHECK_THAT(why_not(R"({"kind":"Trigger","name":"t","deployment":"d","type":"event","event":{"file":"/in/*"}})"), Contains("event"));
    CHECK_THAT(why_not(R"({"kind":"Trigger","name":"t","deployment":"d","type":"event","event":{"file":{"agent":"a","path":"/in/*"},"job":{"trigger":"x"}}})"), Contains("exactly one of them says what it waits for"));
    CHECK_THAT(why_not(R"({"kind":"Trigger","name":"t","deployment":"d","type":"event","event":{"file":{"agent":"a","path":"/*/in"}}})"), Contains("before its last part"));
    CHECK_THAT(why_not(R"({"kind":"Trigger","name":"t","deployment":"d","type":"event","event":{"file":{"path":"/in/*"}}})"), Contains("exactly one of them says whose files"));
    CHECK_THAT(why_not(R"({"kind":"Trigger","name":"t","deployment":"d","locks":["A b"]})"), Contains("has 'A b'"));
    CHECK_THAT(why_not(R"({"kind":"Trigger","name":"t","deployment":"d","locks":["a","b","c","d","e","f","g","h","i"]})"), Contains("names 9 locks"));
    CHECK_THAT(why_not(R"({"kind":"Environment","name":"e","locks":{"erp":0}})"), Contains("from 1 to 1000"));
    CHECK_THAT(why_not(R"({"kind":"Trigger","name":"t","deployment":"d","type":"attended","assignedTo":["group:sales"]})"), Contains("'group:sales', expected user:NAME, or a role"));
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","trigger":"t","on":"all","type":"mail"})"), Contains("mail"));
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","agents":"all","on":"success","type":"api","api":{"url":"https://x"}})"), Contains("'success', expected offline, online, frozen"));
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","agents":"all","trigger":"t","on":"offline","type":"api","api":{"url":"https://x"}})"), Contains("stands beside"));
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","agents":"all","on":"online","type":"api","api":{"url":"https://x"}})"), Contains("without 'offline'"));
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","trigger":"t","on":[{"waiting":{"for":"soon"}}],"type":"api","api":{"url":"https://x"}})"), Contains("expected a duration"));
    const auto waits = parse_document(json(R"({"kind":"Notifier","name":"n","environment":"e","on":["all",{"waiting":{"for":"90s"}}],"type":"api","api":{"url":"https://x"}})"));
    REQUIRE(waits);
    CHECK(waits->spec["on"].size() == 6);
    CHECK(waits->spec["on"].as_array().front()["waiting"]["for"].as_string() == "90s");
    CHECK(parse_document(json(R"({"kind":"Notifier","name":"n","credentials":"all","on":"expiring","type":"api","api":{"url":"https://x"}})"))->spec["on"].as_array().front()["expiring"]["before"].as_string() == "14d");
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","trigger":"t","on":"all","type":"mail","mail":{"server":"m","from":"a@example.com","to":"${ .input.x }"}})"), Contains("domains"));
}

TEST_CASE("a notifier names its events once and its address with a fixed host", "[factory][resources]")
{
    const auto notifier = parse_document(json(R"({"kind":"Notifier","name":"n","trigger":"t","on":["all"],"type":"api","api":{"url":"https://x.example.com/${ .job.uid }"}})"));
    REQUIRE(notifier);
    CHECK(notifier->spec["on"].size() == 5);
    CHECK(notifier->spec["api"]["method"] == Json("POST"));
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","trigger":"t","on":["done"],"type":"api","api":{"url":"https://${ .input.host }/x"}})"),
               Contains("has 'done'") && Contains("fixed host"));
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","trigger":"t","on":"success","type":"api","api":{"url":"https://x","headers":{"X-A":"a\r\nB: c"}}})"), Contains("line break"));
    CHECK_THAT(why_not(R"({"kind":"Notifier","name":"n","trigger":"t","on":"success","type":"api","api":{"url":"https://x","authentication":"basic"}})"), Contains("'credentials'"));
}

TEST_CASE("a notifier's document holds no secret: it names credentials, and the error says what to type", "[factory][resources]")
{
    const auto api = [](std::string_view more) {
        return R"({"kind":"Notifier","name":"n","trigger":"orders-api","on":"success","type":"api","api":{"url":"https://x.example.com",)" + std::string(more) + "}}";
    };
    const auto literal = why_not(api(R"("secret":"whsec_MfKQ9r8GKYqrTwjU")"));
    CHECK_THAT(literal, Contains("api: 'secret' names a credential") && Contains("millwright credentials set NAME --kind hmac --json-file -") && Contains("`secret: NAME`"));
    CHECK_THAT(literal, !Contains("MfKQ9r8"));
    // A secret that could be a name: there is no credential of it, and the error does not repeat it.
    const auto unknown = checked(api(R"("secret":"correct-horse")"));
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().error.code == Errc::conflict);
    CHECK_THAT(unknown.error().error.what, Contains("--kind hmac") && !Contains("correct-horse"));
    CHECK(checked(api(R"("secret":"signing")")));
    CHECK_THAT(checked(api(R"("secret":"bot")")).error().error.what, Contains("must name a credential of kind hmac, 'bot' is of kind sap-cai"));

    for (const char* name : {"Authorization", "cookie", "X-API-Key"}) {
        const auto header = why_not(api("\"headers\":{\"" + std::string(name) + "\":\"Bearer s3cret\"}"));
        CHECK_THAT(header, Contains(name) && Contains("--kind header") && Contains("`authentication: header`") && !Contains("s3cret"));
    }
    CHECK(checked(api(R"("headers":{"X-Job":"${ .job.uid }"},"authentication":"header","credentials":"key")")));
    CHECK(checked(api(R"("authentication":"basic","credentials":"erp-prod")")));
    CHECK_THAT(checked(api(R"("authentication":"bearer","credentials":"erp-prod")")).error().error.what, Contains("must be of kind bearer or generic, it is of kind login"));
    CHECK_THAT(checked(api(R"("authentication":"header","credentials":"nobody")")).error().error.what, Contains("millwright credentials set nobody --kind header"));
    CHECK_THAT(why_not(api(R"("credentials":"key")")), Contains("'authentication' is none"));
}

TEST_CASE("a deployment is checked against its package, its environment and its credentials", "[factory][resources]")
{
    ResourceDocument settled;
    REQUIRE(checked(kDeployment, {}, false, &settled));
    CHECK(settled.spec["granted"]["network"] == json(R"(["https://tickets.example.com"])"));

    const auto missing_package = checked(R"({"kind":"Deployment","name":"d","package":"order-status@9.0.0","environment":"it"})");
    REQUIRE_FALSE(missing_package);
    CHECK(missing_package.error().error.code == Errc::conflict);
    CHECK_THAT(missing_package.error().error.what, Contains("no version 9.0.0") && Contains("1.2.0"));
    CHECK_THAT(checked(R"({"kind":"Deployment","name":"d","package":"order-status@1.2.0","environment":"moon"})").error().error.what, Contains("environment 'moon'"));

    const auto wrong = checked(R"({"kind":"Deployment","name":"d","package":"order-status@1.2.0","environment":"it","variables":{"count":"many","size":1}})");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().error.code == Errc::invalid);
    CHECK_THAT(wrong.error().error.what, Contains("'count' must be of type integer") && Contains("'size' is not declared") && Contains("'region' (string) is required") &&
                                             Contains("credential 'erp-login' (kind login)"));
    CHECK_THAT(checked(R"({"kind":"Deployment","name":"d","package":"order-status@1.2.0","environment":"it","variables":{"region":"eu"},"credentials":{"erp-login":"bot"}})").error().error.what,
               Contains("must be of kind login"));
}

TEST_CASE("a version that asks for more than is granted is refused with the difference", "[factory][resources]")
{
    const auto by_map = checked(R"({"kind":"Deployment","name":"d","package":"order-status@1.2.0","environment":"it","variables":{"region":"eu"},
                                    "credentials":{"erp-login":"erp-prod"},"permissions":{"network":["https://other.example.com"]}})");
    REQUIRE_FALSE(by_map);
    CHECK(by_map.error().error.code == Errc::conflict);
    REQUIRE(by_map.error().missing.size() == 1);
    CHECK_THAT(by_map.error().missing.front(), Contains("https://tickets.example.com"));

    // More than it asks for is not given to it; a limit is.
    ResourceDocument settled;
    REQUIRE(checked(R"({"kind":"Deployment","name":"d","package":"order-status@1.2.0","environment":"it","variables":{"region":"eu"},
                        "credentials":{"erp-login":"erp-prod"},"permissions":{"network":["https://*.example.com"],"commands":["/bin/sh"],
                        "files":{"read":["/srv"]},"credentials":["erp-login"],"limits":{"time":"2h"}}})", {}, false, &settled));
    CHECK(settled.spec["granted"] == json(R"({"network":["https://tickets.example.com"],"limits":{"time":"2h"}})"));

    const Json before = json(R"({"network":["https://other.example.com"]})");
    const auto as_requested = checked(kDeployment, before);
    REQUIRE_FALSE(as_requested);
    CHECK_THAT(as_requested.error().error.what, Contains("more than was granted before") && Contains("tickets.example.com"));
    CHECK(checked(kDeployment, before, true));
}

TEST_CASE("triggers and notifiers name what they refer to and does not exist", "[factory][resources]")
{
    CHECK(checked(R"({"kind":"Trigger","name":"t","deployment":"orders"})"));
    CHECK_THAT(checked(R"({"kind":"Trigger","name":"t","deployment":"nothing"})").error().error.what, Contains("deployment 'nothing'"));
    CHECK_THAT(checked(R"({"kind":"Trigger","name":"t","deployment":"orders","workflow":"nightly"})").error().error.what, Contains("no workflow 'nightly'") && Contains("main"));
    constexpr std::string_view chat = R"({"kind":"Notifier","name":"n","trigger":"orders-api","on":"success","type":"chat",
        "chat":{"platform":"sap-cai","conversation":"${ .invocationContext.conversationId }","message":"m","credentials":"CRED"}})";
    const auto with = [&](std::string_view credential) {
        std::string text(chat);
        return text.replace(text.find("CRED"), 4, credential);
    };
    CHECK(checked(with("bot")));
    CHECK_THAT(checked(with("erp-prod")).error().error.what, Contains("must be of kind sap-cai"));
    CHECK_THAT(checked(with("nobody")).error().error.what, Contains("credential 'nobody' is not there"));
}

TEST_CASE("credentials hold what their kind needs, and mistakes never show a value", "[factory][resources]")
{
    CHECK(normalise_credential(json(R"({"kind":"basic","value":{"username":"u","password":"p-secret"}})"), "credential 'c'"));
    const auto wrong = normalise_credential(json(R"({"kind":"sap-cai","value":{"tokenUrl":"https://t","clientSecret":"very-secret","extra":"hidden"},"expires":"tomorrow"})"), "credential 'c'");
    REQUIRE_FALSE(wrong);
    CHECK_THAT(wrong.error().what, Contains("lacks 'clientId'") && Contains("lacks 'botToken'") && Contains("'extra'") && Contains("'expires'"));
    CHECK_THAT(wrong.error().what, !Contains("very-secret") && !Contains("hidden"));
    CHECK(normalise_credential(json(R"({"kind":"hmac","value":{"secret":"s"}})"), "credential 'c'"));
    CHECK(normalise_credential(json(R"({"kind":"header","value":{"name":"X-Api-Key","value":"k"}})"), "credential 'c'"));
    const auto no_header = normalise_credential(json(R"({"kind":"header","value":{"name":"X: Y","value":"k-secret\r\nHost: x"}})"), "credential 'c'");
    REQUIRE_FALSE(no_header);
    CHECK_THAT(no_header.error().what, Contains("'name' that is not a header's") && Contains("control character in 'value'") && !Contains("k-secret"));
    CHECK_FALSE(normalise_credential(json(R"({"kind":"header","value":{"name":"Transfer-Encoding","value":"chunked"}})"), "credential 'c'"));
}

TEST_CASE("sealed values open under their own name and key only", "[factory][resources]")
{
    const Vault vault(random_bytes(32)), other(random_bytes(32));
    CredentialRecord record;
    record.name = "bot";
    record.sealed = vault.seal("bot", json(R"({"token":"t-123456"})"));
    CHECK(record.sealed.find("t-123456") == std::string::npos);
    REQUIRE(vault.open(record));
    CHECK((*vault.open(record))["token"] == Json("t-123456"));
    CHECK(other.open(record).error().code == Errc::corrupt);
    record.name = "another";
    CHECK_FALSE(vault.open(record));
}

TEST_CASE("differences are paths with what was and what will be", "[factory][resources]")
{
    const Json found = differences(json(R"({"a":1,"b":{"c/d":[1]},"e":true})"), json(R"({"a":2,"b":{"c/d":[1,2]},"f":null})"));
    CHECK(found == json(R"([{"path":"/a","from":1,"to":2},{"path":"/b/c~1d","from":[1],"to":[1,2]},{"path":"/e","from":true},{"path":"/f","to":null}])"));
    CHECK(differences(json(R"({"a":1})"), json(R"({"a":1})")).empty());
}

TEST_CASE("a pattern matches by stars and question marks, however many there are", "[factory][resources]")
{
    CHECK(matches_pattern("srv-*", "srv-1"));
    CHECK(matches_pattern("*", ""));
    CHECK(matches_pattern("a*b?c", "axxbbyc"));
    CHECK_FALSE(matches_pattern("srv-*", "desk-1"));
    CHECK_FALSE(matches_pattern("srv-?", "srv-"));
    CHECK_FALSE(matches_pattern(std::string(60, '*') + "b", std::string(10'000, 'a')));
}

TEST_CASE("chat notifiers of each platform, and what each asks for", "[factory][resources]")
{
    const auto with = [](const char* chat) { return R"({"kind":"Notifier","name":"n","trigger":"t","on":"all","type":"chat","chat":)" + std::string(chat) + "}"; };
    for (const char* fine : {R"({"platform":"slack","conversation":"c","message":"m","credentials":"c"})", R"({"platform":"teams","message":{"title":"t"},"credentials":"c"})",
                             R"({"platform":"rasa","conversation":"c","message":"m","baseUrl":"https://r"})", R"({"platform":"webhook","conversation":"c","messages":{"start":"m"},"baseUrl":"https://r","secret":"s"})",
                             R"({"platform":"botpress","conversation":"c","message":"m","credentials":"c","bot":"b","user":"u"})"}) {
        const auto read = parse_document(*parse_json(with(fine)));
        INFO(fine << (read ? std::string() : read.error().what));
        CHECK(read);
    }
    const auto slack = parse_document(*parse_json(with(R"({"platform":"slack","conversation":"c","message":"m","credentials":"c"})")));
    CHECK(slack->spec["chat"]["baseUrl"].as_string() == "https://slack.com");
    CHECK_THAT(why_not(with(R"({"platform":"slack","conversation":"c","message":"m"})")), Contains("'credentials' is missing"));
    CHECK_THAT(why_not(with(R"({"platform":"slack","conversation":"c","message":"m","credentials":"c","reaction":"memory"})")), Contains("SAP Conversational AI's"));
    CHECK_THAT(why_not(with(R"({"platform":"slack","conversation":"c","message":"m","credentials":"c","delay":2})")), Contains("'delay'"));
    CHECK_THAT(why_not(with(R"({"platform":"teams","conversation":"c","message":"m","credentials":"c"})")), Contains("'conversation'"));
    CHECK_THAT(why_not(with(R"({"platform":"botpress","conversation":"c","message":"m","credentials":"c"})")), Contains("'bot' is missing"));
    CHECK_THAT(why_not(with(R"({"platform":"rasa","conversation":"c","message":"m"})")), Contains("'baseUrl' is missing"));
    CHECK_THAT(why_not(with(R"({"platform":"rasa","conversation":"c","message":5,"baseUrl":"https://r"})")), Contains("'message'"));
    CHECK_THAT(why_not(with(R"({"platform":"irc","conversation":"c","message":"m"})")), Contains("slack"));
}
