# One INTERFACE target carries the flags of all our code.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_PCH_INSTANTIATE_TEMPLATES OFF)

option(MILL_WERROR "Warnings are errors" OFF)
option(MILL_TESTS "Build the tests" ON)
set(MILL_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them")
option(MILL_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)

if(CMAKE_BUILD_TYPE STREQUAL "Release" OR MILL_SANITIZE)
    set(MILL_PRECOMPILE ON)  # see Precompiled.cmake
endif()

add_library(mill_flags INTERFACE)
add_library(mill::flags ALIAS mill_flags)
target_include_directories(mill_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(mill_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
    -Wcast-qual -Wformat=2 -fstack-protector-strong
    # g++ 12 warns of its own string code.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>
     $<$<BOOL:${MILL_WERROR}>:-Werror>)
# Debug builds keep the standard library's checks; release builds the C library's.
target_compile_definitions(mill_flags INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>
    MILL_VERSION="${PROJECT_VERSION}")
if(NOT MILL_SANITIZE)
    target_compile_definitions(mill_flags INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
endif()
if(MILL_SANITIZE)
    add_compile_options(-fsanitize=${MILL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${MILL_SANITIZE})
    if(MILL_SANITIZE STREQUAL "thread")
        add_link_options("-Wl,--version-script=${CMAKE_SOURCE_DIR}/tests/support/tsan.symbols")
    endif()
else()
    # A library that nothing asks for costs each start of a runner its loading.
    add_link_options(-Wl,-z,relro,-z,now,--as-needed)
endif()

# Said here, not by CMake's property: libraries and programs, alike in all flags, share a precompiled header.
add_compile_options(-fPIE)
add_link_options(-pie)

if(MILL_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)  # so that the search sees into the libraries
endif()

find_program(MILL_CCACHE ccache)
if(MILL_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${MILL_CCACHE}")
    if(MILL_PRECOMPILE)  # precompiled headers need this slack (ccache's manual)
        list(PREPEND CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime)
    endif()
endif()
if(MILL_PRECOMPILE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")  # for ccache
endif()
find_program(MILL_MOLD mold)
if(MILL_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12.1)
    add_link_options(-fuse-ld=mold)
endif()
