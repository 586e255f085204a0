//! How samples become histograms and summaries.

use crate::model::{Bucket, Defect, Histogram, Quantile, Summary, Value};

use super::{labels, parse, read};

fn histogram(body: &str, series: usize) -> Histogram {
    match &read(body.as_bytes()).families[0].series[series].value {
        Value::Histogram(histogram) => Histogram::clone(histogram),
        other => panic!("{other:?}"),
    }
}

fn summary(body: &str) -> Summary {
    match &read(body.as_bytes()).families[0].series[0].value {
        Value::Summary(summary) => Summary::clone(summary),
        other => panic!("{other:?}"),
    }
}

/// Names and numbers of series of all families.
fn shape(body: &str) -> Vec<(String, usize)> {
    let families = read(body.as_bytes());
    families.families.iter().map(|family| (family.name.to_string(), family.series.len())).collect()
}

fn bucket(upper_bound: f64, cumulative_count: f64) -> Bucket {
    Bucket { upper_bound, cumulative_count }
}

#[test]
fn the_samples_of_a_histogram_are_one_series() {
    let body = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"2\"} 3\nh_bucket{a=\"1\",le=\"+Inf\"} 4\n\
                h_sum{a=\"1\"} 5.5\nh_count{a=\"1\"} 4\n";
    assert_eq!(
        histogram(body, 0),
        Histogram {
            buckets: vec![bucket(2.0, 3.0), bucket(f64::INFINITY, 4.0)],
            sum: Some(5.5),
            count: Some(4.0),
            defect: None,
            native: None,
        }
    );
    let families = read(body.as_bytes());
    assert_eq!(families.series_count(), 1);
    assert_eq!(families.labels.len(), 1, "the labels of the other samples are not kept");
    assert_eq!(labels(&families, 0, 0), "a=1");
}

#[test]
fn buckets_keep_the_order_and_the_numbers_pushed() {
    let body =
        "# TYPE h histogram\nh_bucket{le=\"2\"} 0.5\nh_bucket{le=\"1\"} -3\nh_bucket{le=\"1.0\"} NaN\n";
    let buckets = histogram(body, 0).buckets;
    assert_eq!(buckets[..2], [bucket(2.0, 0.5), bucket(1.0, -3.0)]);
    assert!(buckets[2].cumulative_count.is_nan());
    assert_eq!(histogram(body, 0).count, None);
}

#[test]
fn the_samples_of_a_summary_are_one_series() {
    let body = "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"0.9\"} 2\ns_sum 5\ns_count 3\n";
    assert_eq!(
        summary(body),
        Summary {
            quantiles: vec![Quantile { quantile: 0.5, value: 1.0 }, Quantile { quantile: 0.9, value: 2.0 }],
            sum: Some(5.0),
            count: Some(3.0),
            defect: None,
        }
    );
}

#[test]
fn label_sets_are_compared_as_sets() {
    let body = "# TYPE h histogram\n\
                h_bucket{a=\"1\",b=\"2\",le=\"1\"} 1\nh_bucket{le=\"1\",b=\"1\",a=\"2\"} 2\n\
                h_sum{b=\"2\",a=\"1\"} 10\nh_sum{a=\"2\",b=\"1\"} 20\nh_count{c=\"\",b=\"2\",a=\"1\"} 7\n";
    assert_eq!(shape(body), [("h".to_owned(), 2)]);
    assert_eq!(
        histogram(body, 0),
        Histogram {
            buckets: vec![bucket(1.0, 1.0)],
            sum: Some(10.0),
            count: Some(7.0),
            defect: None,
            native: None
        }
    );
    assert_eq!(histogram(body, 1).sum, Some(20.0));
    assert_eq!(labels(&read(body.as_bytes()), 0, 1), "b=1,a=2");
}

#[test]
fn label_sets_with_many_labels_are_compared_as_sets_too() {
    let pairs: Vec<_> = (0..30).map(|i| format!("l{i}=\"{i}\"")).collect();
    let mut turned = pairs.clone();
    turned.reverse();
    let body = format!(
        "# TYPE h histogram\nh_sum{{{}}} 1\nh_count{{other=\"\"}} 5\nh_count{{{}}} 2\n",
        pairs.join(","),
        turned.join(",")
    );
    assert_eq!(shape(&body), [("h".to_owned(), 2)]);
    assert_eq!(histogram(&body, 0).count, Some(2.0));
}

#[test]
fn names_and_values_are_not_mixed_up() {
    let body = "# TYPE h histogram\nh_sum{a=\"b\",c=\"d\"} 1\nh_sum{a=\"d\",c=\"b\"} 2\nh_sum{a=\"bc\"} 3\n";
    assert_eq!(shape(body), [("h".to_owned(), 3)]);
}

#[test]
fn histograms_of_two_families_do_not_mix() {
    let body = "# TYPE a histogram\n# TYPE b histogram\na_sum 1\nb_sum 2\na_count 3\nb_count 4\n";
    assert_eq!(shape(body), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    assert_eq!(histogram(body, 0).count, Some(3.0));
}

#[test]
fn a_derived_name_belongs_to_the_family_declared_before() {
    let pairs =
        |pairs: &[(&str, usize)]| pairs.iter().map(|&(name, len)| (name.to_owned(), len)).collect::<Vec<_>>();
    for (body, expected) in [
        ("# TYPE h histogram\nh_sum 1\nh_count 1\nh_bucket{le=\"1\"} 1\n", pairs(&[("h", 1)])),
        ("# TYPE h summary\nh_sum 1\nh_count 1\nh_bucket{le=\"1\"} 1\n", pairs(&[("h", 1), ("h_bucket", 1)])),
        ("# TYPE h counter\nh_sum 1\n", pairs(&[("h_sum", 1)])),
        ("h_count 1\n# TYPE h histogram\nh_sum 2\nh_count 3\n", pairs(&[("h_count", 2), ("h", 1)])),
        ("# TYPE h_count\n# TYPE h histogram\nh_count 5\n", pairs(&[("h", 1)])),
        ("# HELP h_count x\n# TYPE h histogram\nh_count 5\n", pairs(&[("h_count", 1)])),
        ("# TYPE h_sum histogram\nh_sum_sum 1\nh_sum_count 1\n", pairs(&[("h_sum", 1)])),
        (
            "# TYPE h histogram\nh_sum_sum 1\nh_sum 1\nh_sum_count 1\n",
            pairs(&[("h", 1), ("h_sum_sum", 1), ("h_sum_count", 1)]),
        ),
        ("_sum 1\n", pairs(&[("_sum", 1)])),
    ] {
        assert_eq!(shape(body), expected, "{body:?}");
    }
}

#[test]
fn other_labels_named_like_bounds_stay() {
    let families = read(
        b"# TYPE s summary\ns{le=\"1\",quantile=\"0.5\"} 1\n# TYPE g gauge\ng{le=\"x\",quantile=\"y\"} 1\n",
    );
    assert_eq!(labels(&families, 0, 0), "le=1");
    assert_eq!(labels(&families, 1, 0), "le=x,quantile=y");
    let families = read(b"# TYPE h histogram\nh_bucket{quantile=\"x\",le=\"1\"} 1\n");
    assert_eq!(labels(&families, 0, 0), "quantile=x");
}

#[test]
fn what_makes_no_sense_is_noted_once() {
    for (samples, defect) in [
        ("h 5", Some(Defect::BareSample)),
        ("h{le=\"1\"} 5", Some(Defect::BareSample)),
        ("h_bucket 5", Some(Defect::BucketWithoutLe)),
        ("h_sum 1\nh_sum 1", Some(Defect::SecondSum)),
        ("h_count 1\nh_count 1", Some(Defect::SecondCount)),
        ("h_count 1\nh_bucket 1\nh_count 1\nh 1", Some(Defect::BucketWithoutLe)),
        ("h_count 1\nh_sum 1", None),
    ] {
        assert_eq!(histogram(&format!("# TYPE h histogram\n{samples}\n"), 0).defect, defect, "{samples}");
    }
    for (samples, defect) in [
        ("s 5", Some(Defect::BareSample)),
        ("s_sum 1\ns_sum 1", Some(Defect::SecondSum)),
        ("s_count 1\ns_count 1", Some(Defect::SecondCount)),
        ("s{quantile=\"1\"} 1\ns{quantile=\"1\"} 1", None),
    ] {
        assert_eq!(summary(&format!("# TYPE s summary\n{samples}\n")).defect, defect, "{samples}");
    }
}

#[test]
fn any_sample_with_a_timestamp_marks_the_series() {
    let families = read(b"# TYPE h histogram\nh_sum 1\nh_count 1 5\nh_bucket{le=\"1\"} 1\n");
    assert!(families.families[0].series[0].has_timestamp);
}

/// Lines that begin as the one before them are read in a shorter way, which must not be seen.
#[test]
fn runs_of_buckets_mean_the_same_in_every_layout() {
    let expected = Histogram {
        buckets: vec![bucket(1.0, 1.0), bucket(2.0, 2.0), bucket(f64::INFINITY, 3.0)],
        sum: None,
        count: None,
        defect: None,
        native: None,
    };
    for line in [
        "h_bucket{a=\"x\",le=\"B\"} V\n",
        "  h_bucket{a=\"x\",le=\"B\"}\tV\n",
        "h_bucket{a=\"x\",le=\"B\"}V\n",
        "h_bucket{a=\"x\",\"le\"=\"B\"} V\n",
        "h_bucket{a=\"x\",le=\"B\",} V\n",
        "h_bucket{a=\"x\", le=\"B\" } V\n",
        "h_bucket{a=\"x\",le = \"B\"} V\n",
        "h_bucket{le=\"B\",a=\"x\"} V\n",
        "{\"h_bucket\",a=\"x\",le=\"B\"} V\n",
        "{a=\"x\",le=\"B\",\"h_bucket\"} V\n",
    ] {
        let lines = [("1", "1"), ("2.0", "2"), ("+Inf", "3")];
        let samples: String =
            lines.iter().map(|(bound, value)| line.replace('B', bound).replace('V', value)).collect();
        let body = format!("# TYPE h histogram\n{samples}");
        assert_eq!(histogram(&body, 0), expected, "{body}");
        assert_eq!(labels(&read(body.as_bytes()), 0, 0), "a=x", "{body}");
        assert_eq!(shape(&body), [("h".to_owned(), 1)], "{body}");
    }
}

#[test]
fn a_run_ends_where_the_name_or_the_labels_differ() {
    let body = "# TYPE h histogram\n# TYPE i histogram\n\
                h_bucket{a=\"x\",le=\"1\"} 1\nh_bucket{a=\"x\",le=\"2\"} 2\nh_bucket{a=\"y\",le=\"2\"} 3\n\
                i_bucket{a=\"y\",le=\"2\"} 4\nh_bucket{a=\"y\",le=\"3\"} 5\nh_bucket{a=\"x\",le=\"3\"} 6\n\
                h_bucket{a=\"x\",le=\"4\",b=\"z\"} 7\nh_bucket{a=\"x\"} 8\n";
    assert_eq!(shape(body), [("h".to_owned(), 3), ("i".to_owned(), 1)]);
    assert_eq!(histogram(body, 0).buckets, [bucket(1.0, 1.0), bucket(2.0, 2.0), bucket(3.0, 6.0)]);
    assert_eq!(histogram(body, 0).defect, Some(Defect::BucketWithoutLe));
    assert_eq!(histogram(body, 1).buckets, [bucket(2.0, 3.0), bucket(3.0, 5.0)]);
    assert_eq!(histogram(body, 2).buckets, [bucket(4.0, 7.0)]);
}

#[test]
fn a_run_is_told_by_the_bound_and_by_no_other_label() {
    // The last label of these is not the bound.
    let body =
        "# TYPE h histogram\nh_bucket{le=\"1\",quantile=\"2\"} 1\nh_bucket{le=\"1\",quantile=\"3\"} 2\n";
    assert_eq!(shape(body), [("h".to_owned(), 2)]);
    assert_eq!(labels(&read(body.as_bytes()), 0, 1), "quantile=3");
    let body = "# TYPE s summary\ns{quantile=\"1\",le=\"2\"} 1\ns{quantile=\"1\",le=\"3\"} 2\n";
    assert_eq!(shape(body), [("s".to_owned(), 2)]);
    let body = "# TYPE s summary\ns{quantile=\"0.1\"} 1\ns{quantile=\"0.2\"} 2\ns_sum{quantile=\"0.2\"} 3\n";
    assert_eq!(summary(body).quantiles.len(), 2);
    assert_eq!(summary(body).sum, Some(3.0));
}

#[test]
fn what_is_wrong_within_a_run_is_found() {
    let first = "# TYPE h histogram\nh_bucket{a=\"x\",le=\"1\"} 1\n";
    for (line, message) in [
        ("h_bucket{a=\"x\",le=\"y\"} 1\n", "expected float as value for 'le' label, got \"y\""),
        ("h_bucket{a=\"x\",le=\"\\\"\"} 1\n", "expected float as value for 'le' label, got \"\\\"\""),
        ("h_bucket{a=\"x\",le=\"2\" 1\n", "unexpected end of label value \"2\""),
        ("h_bucket{a=\"x\",le=\"2\n", "label value \"2\" contains unescaped new-line"),
        ("h_bucket{a=\"x\",le=\"2\"} y\n", "expected float as value, got \"y\""),
        ("h_bucket{a=\"x\",le=\"2\"} 1 y\n", "expected integer as timestamp, got \"y\""),
        ("h_bucket{a=\"x\",le=\"2\"} 1", "unexpected end of input stream"),
        ("h_bucket{a=\"x\",le=\"2\"}", "unexpected end of input stream"),
        ("h_bucket{a=\"x\",le=\"2", "unexpected end of input stream"),
        ("h_bucket{a=\"x\",le=\"2\",a=\"y\"} 1\n", "duplicate label names for metric \"h\""),
    ] {
        let body = format!("{first}{line}");
        let error = parse(body.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("text format parsing error in line 3: {message}"), "{body}");
    }
    let body = format!("{first}h_bucket{{a=\"x\",le=\"2\"}} 2 5\n");
    assert!(read(body.as_bytes()).families[0].series[0].has_timestamp);
}
