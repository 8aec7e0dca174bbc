# What `closure` builds: a small closure with everything in it that store paths have in practice.
let
  build = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-euc" "echo building ${name}\n${script}" ]; # a line for the build log
  };

  # No derivation made it: its references are its only provenance.
  notice = builtins.toFile "notice" "see ${builtins.toFile "licence" "Do as you please.\n"}\n";

  # Enough real data, text and machine code, for saved bytes to show.
  library = build "library-1.0" ''
    mkdir -p $out/lib $out/share
    cp -RP /usr/share/perl/. $out/share/perl
    cp -RP /usr/lib/*-linux-gnu/gconv $out/lib/gconv
  '';

  shapes = build "shapes" ''
    mkdir -p $out/bin $out/many $out/void
    printf '#!/bin/sh\necho %s\n' $out > $out/bin/where # refers to itself
    chmod +x $out/bin/where
    ln -s where $out/bin/whereabouts
    ln -s /nowhere $out/dangling
    : > $out/empty
    i=0; while [ $i -lt 300 ]; do echo $i > "$out/many/file $i"; i=$((i + 1)); done
  '';

  # No function of its inputs: a machine's own /flavour shows, as clocks and CPU models do in
  # packages that do not build reproducibly. The store path is the same on every machine.
  flavoured = build "flavoured" ''
    { cat /flavour 2>/dev/null || echo plain; } > $out
  '';
in
build "app-1.0" ''
  mkdir -p $out/bin $out/share
  printf '#!/bin/sh\ncat %s\n%s/bin/where\n' ${flavoured} ${shapes} > $out/bin/app
  chmod +x $out/bin/app
  ln -s ${library}/lib $out/lib
  ln -s ${notice} $out/share/notice
''
