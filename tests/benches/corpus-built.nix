# 120 outputs of a few small files, whose references are found by scanning them, as always.
# `packages` is the file name of a JSON list of store paths.
{ packages }:
let
  have = map builtins.storePath (builtins.fromJSON (builtins.readFile packages));
  modulo = n: m: n - n / m * m;
  build = made: i:
    let
      earlier = map (j: builtins.elemAt made j) (builtins.filter (j: j >= 0 && j < i) [ (i / 2) (i - 1) (i - 7) (i / 5) ]);
      package = k: builtins.elemAt have (modulo (i * 7 + k * 13) (builtins.length have));
      references = toString (earlier ++ builtins.genList package (modulo i 3));
    in
    made ++ [ (derivation {
      name = "built-${toString i}";
      system = builtins.currentSystem;
      builder = "/bin/sh";
      PATH = "/usr/bin:/bin";
      args = [ "-euc" ''
        mkdir -p $out/bin $out/share
        echo ${references} > $out/share/refs
        i=0; while [ $i -le ${toString (modulo i 40)} ]; do echo $out $i > $out/bin/f$i; i=$((i + 1)); done
      '' ];
    }) ];
in
builtins.foldl' build [ ] (builtins.genList (i: i) 120)
