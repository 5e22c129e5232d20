# cmake -DNAME=console -DOUTPUT=assets.cpp -DFILES=A;B -P embed.cmake: a source file that has the bytes of each file, plain and compressed.
function(bytes_of file variable)
    file(READ "${file}" hex HEX)
    string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
    set(${variable} "${hex}" PARENT_SCOPE)
endfunction()

set(types_html "text/html; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_svg "image/svg+xml")

set(arrays "")
set(rows "")
set(count 0)
foreach(file IN LISTS FILES)
    get_filename_component(name "${file}" NAME)
    get_filename_component(kind "${file}" LAST_EXT)
    string(SUBSTRING "${kind}" 1 -1 kind)
    set(packed "${OUTPUT}.gz")
    execute_process(COMMAND gzip -9 -n -c "${file}" OUTPUT_FILE "${packed}" COMMAND_ERROR_IS_FATAL ANY)  # -n: the same bytes from every build
    file(SHA256 "${file}" digest)
    bytes_of("${file}" plain)
    bytes_of("${packed}" gzip)
    file(REMOVE "${packed}")
    string(APPEND arrays "constexpr unsigned char kPlain${count}[] = {\n${plain}};\nconstexpr unsigned char kGzip${count}[] = {\n${gzip}};\n")
    string(APPEND rows "    {\"${name}\", \"${types_${kind}}\", \"${digest}\", text(kPlain${count}), text(kGzip${count})},\n")
    math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}" "// Made by studio/embed.cmake.
#include \"studio/${NAME}/assets.h\"

namespace mill::studio {
namespace {

template <std::size_t N> std::string_view text(const unsigned char (&bytes)[N]) { return {reinterpret_cast<const char*>(bytes), N}; }

${arrays}
}  // namespace

std::span<const Asset> ${NAME}_assets()
{
    static const Asset assets[] = {
${rows}    };
    return assets;
}

}  // namespace mill::studio
")
