#include <catch2/catch.hpp>

#include "platform/smtp.h"

using namespace mill;
using namespace mill::platform;

namespace {

MailMessage message()
{
    return {.from = {"Millwright", "robots@example.com"}, .to = {{"", "ann@example.com"}}, .cc = {}, .reply_to = {}, .subject = "Job failed", .text = "Good day\n", .html = {},
            .id = "id-1@example.com", .references = {}, .date = 1'700'000'000};
}

}  // namespace

TEST_CASE("a mailbox is an address, with a name perhaps, and nothing else", "[smtp]")
{
    CHECK(parse_mailbox("ann@example.com")->address == "ann@example.com");
    CHECK(parse_mailbox("Ann Doe <ann@example.com>")->name == "Ann Doe");
    CHECK(parse_mailbox("\"Doe, Ann\" <ann@example.com>")->name == "Doe, Ann");
    for (const char* wrong : {"", "ann", "ann@", "@example.com", "ann@exa mple.com", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com", "Ann, Bob <ann@example.com>",
                              "ann@-example.com", "a..b@example.com", "ann@ex\xc3\xa4mple.com", "<a@example.com> b@example.com"})
        CHECK_FALSE(parse_mailbox(wrong));
}

TEST_CASE("a mail server has a usual port by its kind of TLS", "[smtp]")
{
    CHECK(parse_mail_server("Mail.Example.com", "starttls")->host == "mail.example.com");
    CHECK(parse_mail_server("mail.example.com", "starttls")->port == 587);
    CHECK(parse_mail_server("mail.example.com", "tls")->port == 465);
    CHECK(parse_mail_server("127.0.0.1:2525", "insecure")->port == 2525);
    for (const char* wrong : {"", "smtp://mail.example.com", "mail.example.com:0", "mail.example.com:x", "mail.example.com/x", "mail example"}) CHECK_FALSE(parse_mail_server(wrong, "tls"));
}

TEST_CASE("no value makes a further header", "[smtp]")
{
    MailMessage evil = message();
    evil.subject = "hello\r\nBcc: eve@example.com\r\n\r\nbody";
    evil.to = {{"Ann\r\nBcc: eve@example.com", "ann@example.com"}};
    evil.references = "x\r\nBcc: eve@example.com";
    const std::string text = mail_text(evil);
    CHECK(text.find("\r\nBcc:") == std::string::npos);
    CHECK(text.find("\nBcc:") == std::string::npos);
}

TEST_CASE("what is not ASCII is encoded, no line is too long", "[smtp]")
{
    MailMessage one = message();
    one.from.name = "M\xc3\xbchlwerk";
    for (int i = 0; i < 60; ++i) one.subject += " \xe2\x82\xac";
    one.text = std::string(3000, 'x') + " \xc3\xa4 = \n.\ntrailing \nFrom here\n";
    one.html = "<p>\xc3\xa4</p>";
    const std::string text = mail_text(one);
    std::size_t begin = 0;
    while (begin < text.size()) {
        const auto end = text.find("\r\n", begin);
        REQUIRE(end != std::string::npos);
        CHECK(end - begin <= 78);
        begin = end + 2;
    }
    for (const char c : text) CHECK(static_cast<unsigned char>(c) < 0x80);
    CHECK(text.find("From: =?UTF-8?B?TcO8aGx3ZXJr?=\r\n <robots@example.com>") != std::string::npos);
    CHECK(text.find("multipart/alternative") != std::string::npos);
    CHECK(text.find("=C3=A4 =3D=20\r\n") != std::string::npos);
    CHECK(text.find("trailing=20\r\n") != std::string::npos);
    CHECK(text.find("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n") != std::string::npos);
}
