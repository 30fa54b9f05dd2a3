//! libpa-sys is generated from what SWIG knows of pa.h. bindgen, which asks clang, says the same of it.

use std::collections::BTreeMap;
use std::path::Path;

use quote::ToTokens;
use syn::visit_mut::{VisitMut, visit_type_bare_fn_mut};
use syn::{Expr, Fields, ForeignItem, Item, Lit, ReturnType, Type, TypeBareFn, UnOp};

/// What a file declares: names, and what stands behind them in a form that can be compared.
#[derive(Default)]
struct Declared {
    constants: BTreeMap<String, i128>,
    types: BTreeMap<String, String>,
    structs: BTreeMap<String, Vec<(String, String)>>,
    functions: BTreeMap<String, String>,
}

/// bindgen names the arguments of function pointers.
struct ForgetNames;

impl VisitMut for ForgetNames {
    fn visit_type_bare_fn_mut(&mut self, function: &mut TypeBareFn) {
        function.inputs.iter_mut().for_each(|argument| argument.name = None);
        visit_type_bare_fn_mut(self, function);
    }
}

fn plain(name: &syn::Ident) -> String {
    let name = name.to_string();
    name.trim_start_matches("r#").trim_end_matches('_').to_owned()
}

fn text(of: &Type) -> String {
    let mut of = of.clone();
    ForgetNames.visit_type_mut(&mut of);
    let text = of.to_token_stream().to_string();
    text.replace(":: std :: os :: raw :: ", "").replace(":: std :: option :: ", "").replace("usize]", "]").replace(' ', "")
}

fn number(value: &Expr) -> Option<i128> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        Expr::Unary(negative) if matches!(negative.op, UnOp::Neg(_)) => number(&negative.expr).map(|number| -number),
        Expr::Path(path) if path.to_token_stream().to_string() == "u64 :: MAX" => Some(u64::MAX.into()),
        _ => None,
    }
}

fn read(source: &str) -> Declared {
    let mut declared = Declared::default();
    for item in syn::parse_file(source).unwrap().items {
        match item {
            Item::Const(constant) => {
                declared.constants.extend(number(&constant.expr).map(|number| (plain(&constant.ident), number)));
            }
            Item::Type(alias) => {
                declared.types.insert(plain(&alias.ident), text(&alias.ty));
            }
            Item::Struct(of) => {
                let Fields::Named(fields) = of.fields else { continue };
                let fields = fields.named.iter().map(|field| (plain(field.ident.as_ref().unwrap()), text(&field.ty)));
                let mut fields: Vec<_> = fields.collect();
                if fields[0].1 == "[u8;0]" {
                    fields.clear(); // nobody knows what is in it
                }
                declared.structs.insert(plain(&of.ident), fields);
            }
            Item::ForeignMod(functions) => {
                for function in functions.items {
                    let ForeignItem::Fn(function) = function else { continue };
                    let arguments = function.sig.inputs.iter().map(|argument| match argument {
                        syn::FnArg::Typed(argument) => text(&argument.ty),
                        syn::FnArg::Receiver(_) => unreachable!("C has none"),
                    });
                    let returned = match &function.sig.output {
                        ReturnType::Default => String::new(),
                        ReturnType::Type(_, of) => text(of),
                    };
                    let signature = format!("({}) -> {returned}", arguments.collect::<Vec<_>>().join(", "));
                    declared.functions.insert(plain(&function.sig.ident), signature);
                }
            }
            _ => {}
        }
    }
    declared
}

fn ours() -> Declared {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../libpa-sys/src/lib.rs");
    read(&std::fs::read_to_string(path).unwrap())
}

fn bindgens() -> Declared {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../capi/include");
    let bindings = bindgen::Builder::default()
        .header(include.join("pa/pa.h").to_str().unwrap())
        .clang_arg(format!("-I{}", include.display()))
        .clang_arg("-DPA_NO_MACROS")
        .allowlist_item("(pa|PA)_.*")
        .blocklist_function("pa_item_loop") // it is inline
        .formatter(bindgen::Formatter::None)
        .layout_tests(false)
        .generate()
        .unwrap();
    read(&bindings.to_string())
}

#[test]
fn each_function_has_the_signature_that_bindgen_finds() {
    let (ours, theirs) = (ours().functions, bindgens().functions);
    assert!(ours.len() > 70);
    assert_eq!(ours, theirs);
}

#[test]
fn each_struct_has_the_fields_that_bindgen_finds_in_their_order() {
    let (ours, theirs) = (ours().structs, bindgens().structs);
    assert!(ours.len() > 10);
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, fields) in &ours {
        assert_eq!(Some(fields), theirs.get(name), "{name}");
    }
}

#[test]
fn each_type_is_the_one_that_bindgen_finds() {
    let (ours, theirs) = (ours().types, bindgens().types);
    assert!(ours.len() > 5);
    for (name, of) in &ours {
        assert_eq!(Some(of), theirs.get(name), "{name}");
    }
}

#[test]
fn each_constant_has_the_value_that_bindgen_finds() {
    let (ours, theirs) = (ours().constants, bindgens().constants);
    assert!(ours.len() > 50);
    for (name, value) in &theirs {
        let missing = name.ends_with("_H") || name == "PA_EXPORT";
        assert!(missing || ours.get(name).is_some_and(|our| *our as u64 == *value as u64), "{name} is {value}");
    }
}
