# What an installation has beside program, configurations, library and headers: the manual page, completion and documentation. And the Debian
# packages that `cpack --preset portable` makes of it: capstan, and capstan-dev for programs that use the library.
# Included by the CMakeLists.txt at the top, for the paths of what it installs start there.

# ---- manual page and completion, printed by the program that they are of ----
set(CAPSTAN_MAINTAINER "" CACHE STRING "Name <address> for the control files of packages; empty: DEBFULLNAME and DEBEMAIL of the environment")
find_program(CAPSTAN_GZIP gzip REQUIRED)
set(share ${PROJECT_BINARY_DIR}/share)
set(manual ${share}/man/man1/capstan.1.gz)
set(completion ${share}/bash-completion/completions/capstan)
file(MAKE_DIRECTORY ${share}/man/man1 ${share}/bash-completion/completions)
add_custom_command(OUTPUT ${manual} COMMAND capstan manual > ${share}/man/man1/capstan.1
                   COMMAND ${CAPSTAN_GZIP} -9nf ${share}/man/man1/capstan.1 DEPENDS capstan VERBATIM)
file(GLOB_RECURSE configurations RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS recipes/*.cfg)
# The completion knows the names of the configurations.
list(TRANSFORM configurations PREPEND ${PROJECT_SOURCE_DIR}/ OUTPUT_VARIABLE configuration_files)
add_custom_command(OUTPUT ${completion} COMMAND capstan completion bash > ${completion} DEPENDS capstan ${configuration_files} VERBATIM)
add_custom_target(capstan_documentation ALL DEPENDS ${manual} ${completion})
install(FILES ${manual} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT runtime)
install(FILES ${completion} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT runtime)

# ---- configurations and pages, each in its folder, so that links between pages lead somewhere ----
function(install_in_folders destination)
  foreach(file IN LISTS ARGN)
    cmake_path(GET file PARENT_PATH folder)
    install(FILES ${PROJECT_SOURCE_DIR}/${file} DESTINATION ${destination}/${folder} COMPONENT runtime)
  endforeach()
endfunction()
install_in_folders(${CMAKE_INSTALL_DATADIR}/capstan ${configurations})
file(GLOB_RECURSE pages RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS autograd/*.md nn/*.md optim/*.md data/*.md recipes/*.md recipes/*.png
                                                                         tests/*.md)
install_in_folders(${CMAKE_INSTALL_DOCDIR} README.md recipes/packages.txt tests/consumer/main.cpp tests/consumer/CMakeLists.txt ${pages})

# ---- Debian packages ----
set(maintainer ${CAPSTAN_MAINTAINER})
if(NOT maintainer AND DEFINED ENV{DEBEMAIL})
  set(maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
if(NOT maintainer)
  set(maintainer "Capstan maintainers <capstan@localhost>")
endif()
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)  # or SOURCE_DATE_EPOCH
file(CONFIGURE OUTPUT ${share}/doc/changelog @ONLY CONTENT [[
capstan (@PROJECT_VERSION@) unstable; urgency=medium

  * Version @PROJECT_VERSION@, packed by CPack from the sources.

 -- @maintainer@  @now@
]])
file(CONFIGURE OUTPUT ${share}/doc/copyright @ONLY CONTENT [[
Capstan @PROJECT_VERSION@, packed by CPack from its sources.

Copyright: the authors of Capstan.

The sources say nothing of a licence, so that no right to copy, change or pass on
this package can be taken from them: ask the authors.

The package holds no code of others. The libraries that the program loads, and
those that the static library is used with, are Debian packages of their own,
with their own terms in /usr/share/doc/PACKAGE/copyright.
]])
execute_process(COMMAND ${CAPSTAN_GZIP} -9nfk ${share}/doc/changelog COMMAND_ERROR_IS_FATAL ANY)
install(FILES ${share}/doc/changelog.gz ${share}/doc/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/capstan COMPONENT runtime)
install(FILES ${share}/doc/changelog.gz ${share}/doc/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/capstan-dev COMPONENT development)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME capstan)
set(CPACK_PACKAGE_VENDOR "")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development)
# CPack makes directories as the umask of whoever packs has it.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/package_permissions.cmake @ONLY CONTENT [[
file(CHMOD_RECURSE ${CPACK_TEMPORARY_DIRECTORY}
     DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
]])
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_BINARY_DIR}/package_permissions.cmake)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${maintainer}")
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME capstan)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION science)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS "bash-completion, openmpi-bin")
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "training of sequence and vision models on CPUs
Capstan trains, evaluates and uses recommenders, language models, translators,
classifiers of texts and images and detectors of objects. Each is a recipe with
configurations of published settings: one command trains it on a user's files,
prints its metrics beside baselines and leaves checkpoints in HDF5.
.
Runs that are interrupted, killed or out of disk go on bit for bit where they
were last saved. Weights are read from and given back to other programs as
safetensors. Several machines train together over MPI. There is no Python and
no graphics processor in it.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME capstan-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
# What its CMake package looks for.
set(depends "capstan (= ${PROJECT_VERSION}), libdnnl-dev, ocl-icd-opencl-dev, libhdf5-dev, zlib1g-dev, libsimdjson-dev, libpugixml-dev, libzip-dev, \
libsentencepiece-dev")
if(JPEG IN_LIST CAPSTAN_IMAGE_LIBRARIES)
  string(APPEND depends ", libjpeg-dev")
endif()
if(PNG IN_LIST CAPSTAN_IMAGE_LIBRARIES)
  string(APPEND depends ", libpng-dev")
endif()
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${depends}")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS cmake)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "library for training of models on CPUs: development files
Capstan's tensors with tape-based automatic differentiation, layers, networks,
optimisers and readers of data, for programs in C++20.
.
This package holds the static libraries, the headers and a CMake package:
find_package(capstan) and the target capstan::capstan.")
include(CPack)
