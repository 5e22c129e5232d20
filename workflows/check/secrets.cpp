// Secrets: those that stand in clear text in a file of the package, and those that use.secrets lacks.
#include <algorithm>
#include <array>
#include <functional>
#include <regex>
#include <set>

#include <fmt/format.h>

#include "platform/base/text.h"
#include "workflows/check/analysis.h"

namespace mill::workflows {
namespace {

/// Small letters and digits only: "X-Api-Key" is "xapikey".
std::string bare(std::string_view name)
{
    std::string out;
    for (const char c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

/// How sure a name is: its value is a secret whatever it is (2), or when it looks like one (1).
int secret_name(std::string_view name)
{
    const std::string key = bare(name);
    const auto ends = [&](std::initializer_list<std::string_view> endings) {
        return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return key.ends_with(ending); });
    };
    if (ends({"password", "passwd", "passphrase", "clientsecret", "secretkey", "secretaccesskey"}) || key == "pwd") return 2;
    if (ends({"pagetoken", "nexttoken", "continuationtoken", "synctoken", "prevtoken", "tokenizer"})) return 0;
    if (ends({"token", "secret", "apikey", "accesskey", "privatekey", "subscriptionkey"}) || key == "authorization" || key == "bearer") return 1;
    return 0;
}

/// A stand-in that people write where the secret belongs, or a reference to one.
bool placeholder(std::string_view value)
{
    if (value.empty() || value.find("${") != std::string_view::npos || value.find_first_of("\xEE") != std::string_view::npos) return true;
    if ((value.front() == '<' && value.back() == '>') || (value.front() == '{' && value.back() == '}') || value.front() == '#' || (value.front() == '$' && value.find(' ') == std::string_view::npos)) return true;
    if (value.find_first_not_of("*xX.-_ ") == std::string_view::npos) return true;
    const std::string low = bare(value);
    static const std::set<std::string_view> kWords = {"", "password", "secret", "token", "apikey", "todo", "example", "redacted", "none", "null", "required", "string", "true", "false"};
    return kWords.contains(low);
}

/// Random enough to be a token: no spaces, long, letters and digits mixed.
bool like_token(std::string_view value)
{
    if (value.size() < 12 || value.find_first_of(" \t\n/#") == 0 || value.find_first_of(" \t\n") != std::string_view::npos) return false;
    const bool digit = value.find_first_of("0123456789") != std::string_view::npos;
    const bool letter = std::any_of(value.begin(), value.end(), [](unsigned char c) { return std::isalpha(c) != 0; });
    return digit && letter;
}

// std::regex recurses by the length of what it matches: longer texts are looked at in pieces that overlap.
constexpr std::size_t kPiece = 4000, kOverlap = 300, kMostText = 200'000;

/// A value that is a secret by its own form, whatever its name; says what it is.
const char* known_form_in(const std::string& text)
{
    struct Form {
        std::regex pattern;
        const char* what;
    };
    static const std::array<Form, 6> kForms = {{
        {std::regex("-----BEGIN ([A-Z]+ )?PRIVATE KEY-----"), "a private key"},
        {std::regex(R"((^|[^A-Za-z0-9])(AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20}|xox[abprs]-[A-Za-z0-9-]{10,}|sk_live_[A-Za-z0-9]{16,}))"), "a key of a well-known form"},
        {std::regex(R"((^|[^A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})"), "a JSON web token"},
        {std::regex(R"((^|[^A-Za-z0-9_])mw_[a-z]+_[A-Za-z0-9]+_[A-Za-z0-9]{16,})"), "a token of Millwright"},
        {std::regex(R"((^|[^A-Za-z])([Bb]earer [A-Za-z0-9._~+/-]{16,}|[Bb]asic [A-Za-z0-9+/]{12,}=*)([^A-Za-z0-9]|$))"), "an authorization header's value"},
        {std::regex(R"(^[a-z][a-z0-9+.-]*://[^/?#\s:@{}$]*:[^/?#\s@{}$]+@)"), "an address with a password in it"},
    }};
    // Each pattern needs one of these: nearly all texts are done after six searches.
    static const std::array<const char*, 6> kNeeds = {"PRIVATE KEY", "", "eyJ", "mw_", "", "://"};
    for (std::size_t i = 0; i < kForms.size(); ++i) {
        if (text.find(kNeeds[i]) == std::string::npos) continue;
        if (i == 1 && text.find("AKIA") == std::string::npos && text.find("AIza") == std::string::npos && text.find("gh") == std::string::npos && text.find("glpat-") == std::string::npos &&
            text.find("xox") == std::string::npos && text.find("sk_live_") == std::string::npos && text.find("github_pat_") == std::string::npos)
            continue;
        if (i == 4 && text.find("earer ") == std::string::npos && text.find("asic ") == std::string::npos) continue;
        if (std::regex_search(text, kForms[i].pattern)) return kForms[i].what;
    }
    return nullptr;
}

const char* known_form(const std::string& text)
{
    if (text.size() <= kPiece) return known_form_in(text);
    for (std::size_t at = 0; at < std::min(text.size(), kMostText); at += kPiece - kOverlap)
        if (const char* what = known_form_in(text.substr(at, kPiece))) return what;
    return nullptr;
}

/// Members such as `password: "abc"` that an expression makes, and `?token=abc` of an address.
const char* inside_text(const std::string& text, bool expression)
{
    static const std::regex kMember(R"re(["']?([A-Za-z_-]*([Pp]assword|[Pp]asswd|[Ss]ecret|[Tt]oken|[Aa]pi[_-]?[Kk]ey))["']?\s*:\s*"([^"\\]{4,200})")re");
    static const std::regex kQuery(R"([?&]([A-Za-z_-]*)=([^&#\s"'{}$\\]{4,200}))");
    if (text.size() > kPiece) return nullptr;
    const bool address = text.find("://") != std::string::npos && text.find('?') != std::string::npos;
    if (!expression && !address) return nullptr;
    const std::regex& pattern = expression && text.find('"') != std::string::npos && text.find(':') != std::string::npos ? kMember : kQuery;
    for (const std::regex* each : {&pattern, &kQuery}) {
        if (each == &kQuery && !address) continue;
        for (auto it = std::sregex_iterator(text.begin(), text.end(), *each); it != std::sregex_iterator(); ++it) {
            const std::string name = (*it)[1], value = (*it)[each == &kQuery ? 2 : 3];
            const int sure = secret_name(name);
            if (placeholder(value) || sure == 0 || (sure == 1 && !like_token(value))) continue;
            return each == &kQuery ? "an address with a secret in its query" : "a text that looks like a secret";
        }
    }
    return nullptr;
}

/// The place of oauth2 and oidc for it: a secret whatever it looks like.
bool of_client(std::string_view pointer) { return pointer.ends_with("/client/secret"); }

class ClearText {
public:
    ClearText(Analysis& analysis, const Document& document) : analysis_(analysis), document_(document) {}

    void look(const Json& value, const std::string& pointer)
    {
        each_text(value, pointer, "", [&](const std::string& text, const std::string& at, std::string_view key) {
            const std::string_view inside = expression_inside(text);
            const char* what = known_form(text);
            if (what == nullptr) what = inside_text(text, !inside.empty());
            if (what == nullptr && inside.empty() && !placeholder(text)) {
                const int sure = of_client(at) ? 2 : secret_name(key);
                if (sure == 2 || (sure == 1 && like_token(text))) what = "a text that looks like a secret";
            }
            if (what != nullptr) tell(at, std::string(key), what);
        });
    }

private:
    void tell(const std::string& pointer, const std::string& key, const char* what)
    {
        const std::string low = bare(key);
        const char* field = of_client(pointer) ? "clientSecret" : low.find("password") != std::string::npos || low.find("passwd") != std::string::npos ? "password" : low.find("key") != std::string::npos ? "key" : "token";
        analysis_.warn("clear-secret", document_, pointer,
                       fmt::format("{} stands here in clear text{}: declare it in use.secrets, store it with `millwright credentials set NAME`, and write '${{ $secrets.NAME.{} }}'", what,
                                   key.empty() ? std::string() : fmt::format(" ('{}')", key.substr(0, 60)), field));
    }

    Analysis& analysis_;
    const Document& document_;
};

void clear_in(Analysis& analysis, const Document& document)
{
    ClearText clear(analysis, document);
    for (const Task& task : document.tasks) {
        for (const char* part : {"with", "set", "run", "emit", "raise"}) {
            if (task.kind != TaskKind::run_script || std::string_view(part) != "run") clear.look(task.definition[part], fmt::format("{}/{}", task.pointer, part));
            else for (const char* piece : {"arguments", "environment", "stdin", "code"})
                clear.look(task.definition["run"]["script"][piece], fmt::format("{}/run/script/{}", task.pointer, piece));
        }
        for (const auto& [part, key] : {std::pair{"input", "from"}, std::pair{"output", "as"}, std::pair{"export", "as"}})
            clear.look(task.definition[part][key], fmt::format("{}/{}/{}", task.pointer, part, key));
    }
    clear.look(document.source["use"]["authentications"], "/use/authentications");
}

void clear_in_manifest(Analysis& analysis)
{
    for (const auto& [name, variable] : analysis.package.manifest.variables) {
        if (!variable.fallback.is_string() || placeholder(variable.fallback.as_string())) continue;
        const std::string& value = variable.fallback.as_string();
        const int sure = secret_name(name);
        const char* what = known_form(value);
        if (what == nullptr) what = inside_text(value, false);
        if (what == nullptr && (sure == 2 || (sure == 1 && like_token(value)))) what = "a text that looks like a secret";
        if (what == nullptr) continue;
        analysis.warn_manifest("clear-secret", "/variables/" + escape_pointer(name) + "/default",
                               fmt::format("{} is the default of the variable '{}', which everybody can read: make it a credential (credentials: {{ NAME: {{ kind: … }} }}) and use $secrets.NAME.FIELD", what, name));
    }
}

/// By the fields that the document reads of it.
std::string kind_of(const Document& document, const std::string& name)
{
    const auto found = document.secret_fields.find(name);
    if (found == document.secret_fields.end()) {
        const std::string text = dump_json(document.source);
        for (const auto& [scheme, kind] : {std::pair{"bearer", "bearer"}, std::pair{"oauth2", "generic"}, std::pair{"oidc", "generic"}})
            if (text.find(fmt::format("\"{}\":{{\"use\":{}", scheme, dump_json(Json(name)))) != std::string::npos) return kind;
        return "login";
    }
    if (found->second.contains("password") || found->second.contains("username")) return "login";
    return found->second.contains("token") ? "bearer" : "generic";
}

/// Secrets that expressions and authentications use, but use.secrets does not name: loading refuses them, `--fix` adds them.
void undeclared_in(Analysis& analysis, const Document& document)
{
    std::set<std::string> wanted;
    for (const auto& [name, fields] : document.secret_fields) wanted.insert(name);
    const std::function<void(const Json&, bool)> walk = [&](const Json& value, bool login) {
        for (const auto& [key, member] : value.as_object()) {
            if (login && key == "use" && member.is_string() && !document.authentications.contains(member.as_string())) wanted.insert(member.as_string());
            walk(member, login || key == "authentication" || key == "authentications");
        }
        for (const Json& item : value.as_array()) walk(item, login);
    };
    walk(document.source, false);
    for (const std::string& name : wanted) {
        if (std::find(document.secrets.begin(), document.secrets.end(), name) != document.secrets.end()) continue;
        analysis.remedy(document.file, {"use", "secrets"}, name);
        if (!analysis.lone) analysis.remedy("package.yaml", {"permissions", "credentials"}, name);
    }
    if (analysis.lone) return;
    wanted.insert(document.secrets.begin(), document.secrets.end());
    for (const std::string& name : wanted) {
        if (analysis.package.manifest.credentials.contains(name)) continue;
        const std::string kind = kind_of(document, name);
        const auto at = std::find(document.secrets.begin(), document.secrets.end(), name) - document.secrets.begin();
        analysis.remedy("package.yaml", {"credentials"}, Json::object({{"kind", kind}}), name);
        analysis.warn("undeclared-credential", document, fmt::format("/use/secrets/{}", at),
                      fmt::format("package.yaml declares no credential '{0}', so no deployment can bind it: credentials: {{ {0}: {{ kind: {1} }} }}", name, kind));
    }
}

}  // namespace

void check_secrets(Analysis& analysis)
{
    for (const Document* document : analysis.documents) {
        clear_in(analysis, *document);
        undeclared_in(analysis, *document);
    }
    if (!analysis.lone) clear_in_manifest(analysis);
}

}  // namespace mill::workflows
