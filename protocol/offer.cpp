#include "protocol/offer.h"

#include "platform/base/fields.h"

namespace mill::protocol {

Json merge_input(const Json& below, const Json& above)
{
    if (!below.is_object() || !above.is_object()) return above.is_null() ? below : above;
    Json out = below;
    for (const auto& [key, value] : above.as_object()) {
        const Json* under = out.find(key);
        out.set(key, under != nullptr && under->is_object() && value.is_object() ? merge_input(Json(*under), value) : value);
    }
    return out;
}

Json to_json(const Offer& offer)
{
    const auto map = [](const Json& value) { return value.is_null() ? Json::object() : value; };
    Json json = to_json(offer.id);
    Json package = Json::object({{"name", offer.package_name}, {"version", offer.package_version}, {"digest", offer.package_digest}});
    if (!offer.signatures.empty()) package.set("signatures", to_json(offer.signatures));
    json.set("package", std::move(package));
    json.set("workflow", offer.workflow).set("deployment", offer.deployment);
    json.set("environment", offer.environment).set("trigger", offer.trigger).set("input", offer.input);
    json.set("variables", map(offer.variables)).set("credentials", map(offer.credentials));
    json.set("permissions", to_json(offer.permissions)).set("repeatable", offer.repeatable);
    if (!offer.run_as.empty()) json.set("runAs", offer.run_as);
    if (offer.trace) json.set("trace", true);
    if (!offer.launch.empty()) json.set("launch", offer.launch);
    if (!offer.secret_input.empty()) json.set("secretInput", Json(Json::Array(offer.secret_input.begin(), offer.secret_input.end())));
    if (!offer.terms.empty()) json.set("terms", offer.terms);
    json.set("attemptToken", offer.attempt_token).set("leaseMs", static_cast<long long>(offer.lease.count()));
    return json;
}

Result<Offer> parse_offer(const Json& json)
{
    Offer offer;
    auto id = parse_attempt_id(json);
    if (!id) return fail("offer", id.error());
    offer.id = *id;
    Fields fields(json, "offer");
    fields.ignore_unknown();
    Fields package(fields.object("package"), "offer: package");
    package.ignore_unknown();
    offer.package_name = package.text("name");
    offer.package_version = package.text("version");
    offer.package_digest = package.text("digest");
    if (!offer.package_digest.empty() && !is_digest(offer.package_digest))
        package.mistake("digest", "must be 'sha256:' and 64 hexadecimal digits in lower case");
    auto signatures = parse_signatures(package.array("signatures", Json::array()), "offer: package: signatures", true);
    offer.workflow = fields.text("workflow", "main");
    offer.deployment = fields.text("deployment", "");
    offer.environment = fields.text("environment", "");
    offer.trigger = fields.text("trigger", "");
    offer.launch = fields.text("launch", "");
    offer.terms = fields.text("terms", "");
    offer.input = fields.any("input", Json());
    offer.secret_input = fields.texts("secretInput");
    offer.variables = fields.object("variables", Json::object());
    offer.credentials = fields.object("credentials", Json::object());
    for (const auto& [key, value] : offer.credentials.as_object())
        if (!value.is_string()) fields.mistake("credentials", "must map names to names");
    const Json permissions = fields.object("permissions", Json::object());
    offer.run_as = fields.text("runAs", "");
    offer.repeatable = fields.boolean("repeatable", false);
    offer.trace = fields.boolean("trace", false);
    offer.attempt_token = offer.terms.empty() ? fields.text("attemptToken") : fields.text("attemptToken", "");   // nobody gave it one
    offer.lease = std::chrono::milliseconds(fields.integer("leaseMs", 1, 86'400'000, 60'000));
    if (auto ok = fields.done(); !ok) return fail(ok.error());
    if (auto ok = package.done(); !ok) return fail(ok.error());
    if (!signatures) return fail(signatures.error());
    offer.signatures = std::move(*signatures);
    auto granted = parse_permissions(permissions, "offer: permissions");
    if (!granted) return fail(granted.error());
    offer.permissions = std::move(*granted);
    return offer;
}

}  // namespace mill::protocol
